// The form of an exercise: what changes in it becomes an address, the address becomes a page beside it. The address is
// the whole state, so that a link is an exercise, and the browser's own history is undo.
"use strict";

// --- the picker: operators, found by typing --------------------------------------------------------------------------
for (const picker of document.querySelectorAll(".picker")) {
  const search = picker.querySelector("input");
  const items = [...picker.querySelectorAll("li")];
  search.addEventListener("input", () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const item of items) item.hidden = !words.every((word) => item.dataset.words.toLowerCase().includes(word));
    picker.querySelector(".none").hidden = items.some((item) => !item.hidden);
  });
  search.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault(); // the form is not what was meant
    items.find((item) => !item.hidden)?.querySelector("a").click();
  });
}
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.closest("input, select, textarea")) return;
  const search = document.querySelector("#search");
  if (!search) return;
  event.preventDefault();
  search.closest("details")?.setAttribute("open", "");
  search.focus();
});

// How far "again" goes; where a browser keeps nothing, no farther than here.
function kept(top) {
  try {
    if (top !== undefined) sessionStorage.setItem("top", top);
    return sessionStorage.getItem("top");
  } catch {
    return null;
  }
}

// --- the form --------------------------------------------------------------------------------------------------------
function bench(form) {
  const see = document.querySelector(".see");
  const find = (name) => document.querySelector(name);
  const fields = () => form.querySelectorAll("[name]");
  let asked = 0; // the last question; answers to earlier ones come too late
  let going = new AbortController(); // of the last question: what nobody waits for need not be computed
  let touched = ""; // the field that was changed last: what is impossible is said there

  function query() {
    const found = new URLSearchParams();
    for (const field of fields()) {
      const value = field.type === "checkbox" ? (field.checked ? "1" : "") : field.value.trim();
      if (value) found.set(field.name, value);
    }
    return found.toString().replaceAll("%2C", ",").replaceAll("%5B", "[").replaceAll("%5D", "]");
  }

  // The arguments without what is shown of the call, as the address of a trace has them.
  function given() {
    const arguments_ = [...form.querySelectorAll(".array [name], .field [data-kind], [data-argument]")].filter((field) => field.name !== "upstream");
    return arguments_.filter((field) => field.value.trim()).map((field) => [`at.${field.name}`, field.value.trim()]);
  }

  function fill(address) {
    const given = new URLSearchParams(address);
    for (const field of fields()) {
      if (field.type === "checkbox") field.checked = Boolean(given.get(field.name));
      else field.value = given.get(field.name) ?? "";
    }
  }

  // What is impossible stands under its field, and the last page that was possible stays.
  function tell(sentence, key) {
    for (const said of form.querySelectorAll(".said")) said.textContent = "";
    for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
    if (!sentence) return;
    const home = form.querySelector(`[data-field="${CSS.escape(key || touched)}"]`);
    (home?.querySelector(".said") ?? form.querySelector(".general")).textContent = sentence;
    home?.querySelector("[name]")?.setAttribute("aria-invalid", "true");
    home?.closest("details")?.setAttribute("open", "");
  }

  // The new page is made behind the old one, and takes its place when it is there: nothing flickers.
  function show(address, number) {
    const old = see.querySelector("iframe:last-of-type");
    const now = document.createElement("iframe");
    now.title = old.title;
    now.className = "coming";
    let step = "";
    let place = 0;
    try {
      step = old.contentWindow.location.hash;
      place = old.contentWindow.scrollY;
    } catch {}
    now.src = `${form.dataset.page}?${address}${step || "#step=1"}`;
    now.addEventListener("load", () => {
      if (number !== asked) return now.remove();
      for (const each of see.querySelectorAll("iframe, .instead")) if (each !== now) each.remove();
      now.classList.remove("coming");
      try {
        now.contentWindow.scrollTo(0, place);
      } catch {}
      see.setAttribute("aria-busy", "false");
      if (!place) begin(now);
    }, {once: true});
    see.append(now);
  }

  // On a narrow window there is little room: it begins with the arrays.
  function begin(frame) {
    if (!matchMedia("(max-width: 60em)").matches) return;
    try {
      const arrays = frame.contentDocument.querySelector(".panels");
      if (arrays) frame.contentWindow.scrollTo(0, arrays.getBoundingClientRect().top + frame.contentWindow.scrollY - 8);
    } catch {}
  }

  // Paper has no frames: what the frame holds is printed as a part of this page.
  function paper() {
    const inside = see.querySelector("iframe:last-of-type").contentDocument;
    const home = document.createElement("div");
    home.className = "printed";
    const page = home.attachShadow({mode: "open"});
    page.append(...[...inside.querySelectorAll("style")].map((each) => each.cloneNode(true)));
    const body = document.createElement("div");
    body.className = "opcheck";
    body.append(inside.querySelector("main").cloneNode(true));
    for (const each of body.querySelectorAll("details.still")) each.open = true;
    page.append(body);
    see.append(home);
  }
  window.addEventListener("beforeprint", paper);
  window.addEventListener("afterprint", () => see.querySelector(".printed")?.remove());

  async function ask(keep) {
    const number = (asked += 1);
    const address = query();
    see.setAttribute("aria-busy", "true");
    going.abort();
    going = new AbortController();
    let answer;
    try {
      const options = {headers: {Prefer: "handling=lenient"}, signal: going.signal};
      const response = await fetch(`${form.dataset.form}?${address}`, options);
      answer = await response.json();
    } catch {
      answer = {sentence: see.dataset.gone};
    }
    if (number !== asked) return;
    if (keep !== null || answer.sentence) tell(answer.sentence, answer.field); // what the address had wrong stays said
    find(".save").href = `${form.dataset.page}?${address}&save=1`;
    if (keep && location.search !== `?${address}`) {
      const place = (history.state?.place ?? 0) + 1;
      history.pushState({place, top: place}, "", `${location.pathname}${address && "?"}${address}`);
      kept(String(place));
    }
    steps();
    const traced = form.querySelector("a.traced");
    if (traced) traced.href = `/trace?${new URLSearchParams([["of", form.dataset.of], ...given()])}`;
    if (!answer.fields) return see.setAttribute("aria-busy", "false");
    numbers(answer.fields);
    variables(answer.variables);
    code(answer.code);
    // what the address asked was impossible, and what stands in the fields is not: the page is still to come
    if (keep !== null || !see.querySelector("iframe").src) show(address, number);
    else see.setAttribute("aria-busy", "false");
  }

  // --- arrays: a field a number ---------------------------------------------------------------------------------------
  function numbers(given) {
    for (const home of form.querySelectorAll(".array")) {
      const array = given[home.dataset.field];
      const text = home.querySelector(".text");
      const shelf = home.querySelector(".numbers");
      text.placeholder = array ? array.shape || "1" : home.hasAttribute("data-optional") ? "–" : "";
      home.classList.toggle("absent", !array);
      if (!array || array.numbers === null) {
        shelf.replaceChildren();
        continue;
      }
      if (shelf.contains(document.activeElement) && shelf.dataset.shape === array.shape) {
        refresh(shelf, array.numbers);
        continue;
      }
      shelf.dataset.shape = array.shape;
      shelf.replaceChildren(...tables(array.numbers, home.dataset.field, ""));
    }
  }

  // The variables of an expression: a field each, which stays while its name stays.
  function variables(given) {
    const shelf = form.querySelector(".variables");
    if (!shelf) return;
    const now = Object.fromEntries([...shelf.children].map((home) => [home.dataset.field, home]));
    const homes = Object.entries(given).map(([name, word]) => {
      const key = form.dataset.at + name;
      const home = now[key] ?? variable(name, key);
      home.querySelector("input").placeholder = word;
      return home;
    });
    if (homes.length !== shelf.children.length || homes.some((home, k) => home !== shelf.children[k])) shelf.replaceChildren(...homes);
  }

  function variable(name, key) {
    const home = document.createElement("div");
    home.className = "field";
    home.dataset.field = key;
    const label = document.createElement("label");
    Object.assign(label, {htmlFor: `f-${name}`, textContent: name});
    const field = document.createElement("input");
    Object.assign(field, {className: "text", id: `f-${name}`, name: key, spellcheck: false});
    field.setAttribute("aria-describedby", `said-${name}`);
    field.value = new URLSearchParams(location.search).get(key) ?? "";
    const said = document.createElement("p");
    Object.assign(said, {className: "said", id: `said-${name}`});
    said.setAttribute("role", "alert");
    home.append(label, field, said);
    return home;
  }

  function refresh(shelf, values) {
    const flat = [values].flat(9);
    shelf.querySelectorAll("input").forEach((cell, k) => {
      if (cell !== document.activeElement) cell.value = flat[k];
    });
  }

  function tables(values, name, at) {
    if (!Array.isArray(values)) return [table([[values]], name, at)];
    if (!Array.isArray(values[0])) return [table([values], name, at)];
    if (!Array.isArray(values[0][0])) return [table(values, name, at)];
    return values.flatMap((part, k) => tables(part, name, `${at}${at && ","}${k}`));
  }

  function table(rows, name, at) {
    const grid = document.createElement("table");
    if (at) grid.createCaption().textContent = `[${at}]`;
    rows.forEach((row, i) => {
      const line = grid.insertRow();
      row.forEach((value, j) => {
        const cell = document.createElement("input");
        cell.value = value;
        cell.size = Math.max(2, String(value).length);
        cell.inputMode = "decimal";
        cell.setAttribute("aria-label", `${name}[${[at, i, j].filter((each) => each !== "").join(",")}]`);
        line.insertCell().append(cell);
      });
    });
    return grid;
  }

  // A block of a spreadsheet: rows end with a line or a semicolon, numbers with a tab, a semicolon or a space. A comma
  // may be that of a decimal, where something else stands between the numbers.
  function block(text) {
    const rows = text.trim().split(/\r?\n|\r/);
    const lines = (rows.length > 1 || text.includes("\t") ? rows : text.trim().split(";")).filter((row) => row.trim());
    const table = lines.map((row) => {
      const words = row.trim().split(row.includes("\t") ? "\t" : row.includes(";") ? ";" : /\s/.test(row.trim()) ? /[\s]+/ : ",");
      return words.map((word) => word.trim().replace(/^([-+−]?\d+),(\d+)$/, "$1.$2").replace(/,$/, "").replace("−", "-"));
    });
    const many = table.length > 1 || table[0]?.length > 1;
    const isNumber = (word) => word && (Number.isFinite(Number(word)) || /^-?\d+\/\d+$/.test(word));
    return many && table.flat().every(isNumber) ? table : null;
  }

  // What is pasted fills the cells from the one that was chosen on, where it fits; else it is the new array.
  function pasted(home, cell, rows) {
    const table = cell?.closest("table");
    const [top, left] = cell ? [cell.closest("tr").rowIndex, cell.closest("td").cellIndex] : [0, 0];
    const inside = table && rows.every((row, i) => row.every((_, j) => table.rows[top + i]?.cells[left + j]));
    touched = home.dataset.field;
    if (inside) {
      rows.forEach((row, i) => row.forEach((word, j) => { table.rows[top + i].cells[left + j].firstChild.value = word; }));
      home.querySelector(".text").value = gathered(home);
    } else {
      cell?.blur(); // the cells are made anew
      const text = rows.map((row) => `[${row.join(",")}]`);
      const flat = (home.querySelector(".numbers").dataset.shape ?? "").split("x").length === 1;
      home.querySelector(".text").value = flat && rows.length === 1 ? text[0] : `[${text.join(",")}]`;
    }
    ask(true);
  }

  // The numbers of the fields as the text that an address holds.
  function gathered(home) {
    const shape = home.querySelector(".numbers").dataset.shape;
    const cells = [...home.querySelectorAll(".numbers input")].map((cell) => cell.value.trim() || "0");
    const sizes = shape ? shape.split("x").map(Number) : [];
    const nest = (from, dims) => {
      if (!dims.length) return cells[from];
      const [first, ...rest] = dims;
      const size = rest.reduce((a, b) => a * b, 1);
      return `[${Array.from({length: first}, (_, k) => nest(from + k * size, rest)).join(",")}]`;
    };
    return nest(0, sizes);
  }

  function walk(event) {
    const cell = event.target;
    const [line, column] = [cell.closest("tr"), cell.closest("td").cellIndex];
    const number = Number(cell.value);
    const to = {
      ArrowUp: line.previousElementSibling, ArrowDown: line.nextElementSibling, Enter: line.nextElementSibling,
    }[event.key];
    if (event.altKey && ["ArrowUp", "ArrowDown"].includes(event.key) && Number.isFinite(number)) {
      cell.value = number + (event.key === "ArrowUp" ? 1 : -1);
      cell.dispatchEvent(new Event("input", {bubbles: true}));
    } else if (to) to.cells[column].firstChild.select();
    else if (!["ArrowUp", "ArrowDown", "Enter"].includes(event.key)) return;
    event.preventDefault();
  }

  // --- what one tries: a kernel by its name, a picture from this machine, which stays here: its numbers are the input ----
  const SIDE = 28; // pixels; more numbers than an address should hold
  async function pictured(field) {
    const home = field.closest("[data-field]");
    touched = home.dataset.field;
    let image;
    try {
      image = await createImageBitmap(field.files[0]);
    } catch {
      return tell(form.dataset.none, touched);
    } finally {
      field.value = "";
    }
    const share = Math.min(1, SIDE / Math.max(image.width, image.height));
    const [wide, tall] = [image.width, image.height].map((size) => Math.max(1, Math.round(size * share)));
    const canvas = Object.assign(document.createElement("canvas"), {width: wide, height: tall});
    const context = canvas.getContext("2d");
    context.fillStyle = "#fff"; // behind what is transparent
    context.fillRect(0, 0, wide, tall);
    context.drawImage(image, 0, 0, wide, tall);
    const {data} = context.getImageData(0, 0, wide, tall);
    const grey = (at) => Math.round(0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2]);
    const rows = Array.from({length: tall}, (_, i) => Array.from({length: wide}, (_, j) => grey(4 * (i * wide + j))));
    home.querySelector(".text").value = JSON.stringify(rows);
    const told = {size: `${image.height}×${image.width}`, reduced: `${tall}×${wide}`};
    home.querySelector(".aside").textContent = share < 1 ? form.dataset.reduced.replace(/\{(\w+)\}/g, (_, name) => told[name]) : "";
    ask(true);
  }
  form.addEventListener("change", (event) => {
    const field = event.target;
    if (field.matches("input[type=file]")) return pictured(field);
    if (!field.matches("select.tries") || !field.value) return;
    const home = field.closest("[data-field]");
    touched = home.dataset.field;
    home.querySelector(".text").value = field.value;
    field.value = "";
    ask(true);
  });

  let timer = 0;
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(() => ask(true), 200);
  };

  form.addEventListener("input", (event) => {
    const home = event.target.closest("[data-field]");
    if (!home || event.target.closest(".tries")) return;
    touched = home.dataset.field;
    if (event.target.closest(".numbers")) home.querySelector(".text").value = gathered(home);
    soon();
  });
  form.addEventListener("paste", (event) => {
    const home = event.target.closest(".array");
    const rows = home && block(event.clipboardData?.getData("text") ?? "");
    if (!rows) return;
    event.preventDefault();
    pasted(home, event.target.closest(".numbers input"), rows);
  });
  form.addEventListener("focusout", (event) => {
    if (event.target.closest(".numbers") && !event.target.value.trim()) event.target.value = "0"; // what counts there
  });
  form.addEventListener("keydown", (event) => {
    if (event.target.closest(".numbers")) walk(event);
    else if (event.target.matches(".text") && event.key === "Enter") {
      event.preventDefault();
      soon();
    } else if (event.target.matches("[data-kind=whole]") && ["ArrowUp", "ArrowDown"].includes(event.key)) {
      event.preventDefault();
      step(event.target, event.key === "ArrowUp" ? 1 : -1);
    }
  });
  form.addEventListener("focusin", (event) => event.target.closest(".numbers") && event.target.select());
  form.addEventListener("click", (event) => {
    const by = event.target.matches(".more") ? 1 : event.target.matches(".less") ? -1 : 0;
    if (by) step(event.target.parentElement.querySelector("input"), by);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask(true);
  });

  function step(field, by) {
    touched = field.closest("[data-field]").dataset.field;
    const parts = (field.value || field.placeholder).split(",").map(Number);
    if (parts.some((each) => !Number.isInteger(each))) return;
    field.value = parts.map((each) => each + by).join(",");
    soon();
  }

  form.querySelector(".fresh")?.addEventListener("click", () => {
    for (const field of form.querySelectorAll(".array .text")) {
      const shape = field.closest(".array").querySelector(".numbers").dataset.shape;
      if (field.value.startsWith("[") && shape) field.value = shape; // the shape stays, the numbers go
    }
    form.elements.seed.value = String(Math.floor(Math.random() * 10 ** 6));
    touched = "seed";
    ask(true);
  });

  // --- undo, links, code ------------------------------------------------------------------------------------------------
  function steps() {
    const place = history.state?.place ?? 0;
    find(".undo").disabled = place === 0;
    find(".redo").disabled = place >= Number(kept() ?? 0);
  }
  find(".undo").addEventListener("click", () => history.back());
  find(".redo").addEventListener("click", () => history.forward());
  window.addEventListener("popstate", () => {
    fill(location.search);
    ask(false);
  });
  find(".link").addEventListener("click", (event) => sent(event.target, location.href));
  // An exercise asks for the number that is pinned, and shows it to nobody before it is answered.
  find(".exercise")?.addEventListener("click", (event) => {
    const pinned = see.querySelector("iframe:last-of-type").contentDocument.querySelector("[data-asked]")?.dataset.asked ?? "";
    const known = form.dataset.asks.split(" "); // the output first
    const place = known.includes(pinned.split("[")[0]) ? pinned : known[0];
    const address = query();
    sent(event.target, new URL(`${form.dataset.exercise}?${address}${address && "&"}ask=${place}`, location.href).href);
  });

  let language = "";
  function code(texts) {
    const tabs = form.querySelector(".tabs");
    language = language in texts ? language : Object.keys(texts)[0];
    const names = {torch: "torch", numpy: "numpy", python: "Python", shell: tabs.dataset.shell, json: "JSON"};
    const pick = (name) => {
      language = name;
      form.querySelector(".code pre").textContent = texts[name];
      for (const tab of tabs.children) tab.setAttribute("aria-pressed", String(tab.dataset.of === name));
    };
    tabs.replaceChildren(...Object.keys(texts).map((name) => {
      const tab = document.createElement("button");
      Object.assign(tab, {type: "button", textContent: names[name], onclick: () => pick(name)});
      tab.dataset.of = name;
      return tab;
    }));
    pick(language);
  }
  form.querySelector(".copy").addEventListener("click", (event) => copied(event.target, form.querySelector(".code pre").textContent));

  if (matchMedia("(max-width: 60em)").matches) for (const each of form.querySelectorAll(".folds")) each.open = false;
  const first = see.querySelector("iframe");
  first.addEventListener("load", () => begin(first));
  begin(first);
  if (!history.state) {
    history.replaceState({place: 0}, "");
    kept("0");
  }
  fill(location.search);
  ask(null);
}
for (const form of document.querySelectorAll("form.panel")) bench(form);
