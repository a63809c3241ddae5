// A board answers: which number is pointed at, what it was made of, and where it goes. Numbers stand in cells (td with
// data-line); what they were made of stands in the page's data, and is written by writing.js.
// A link that ends with #step=3 or #line=17 opens the page there. Nothing is loaded and nothing is sent.
"use strict";

const MANY = 30; // terms that are shown whole; of more, the first ones and the last two
const COLOURS = 8;
const CHOICES = ["max", "min", "select", "abs", "less"];
const SECONDS = 1.6; // a step, at speed 1
const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;

const made = (tag, name = "", ...parts) => {
  const part = document.createElement(tag);
  if (name) part.className = name;
  part.append(...parts);
  return part;
};

function board(root) {
  const of = calculation(JSON.parse(root.querySelector(".numbers").textContent));
  const { lines, words } = of;
  const stage = root.querySelector(".stage");
  const still = root.querySelector(".still");
  const answer = stage.querySelector(".answer");
  const find = (name) => stage.querySelector(`.controls .${name}`);
  const [play, back, forward, slider, speed, view, count, said] =
    ["play", "back", "forward", "slider", "speed", "view", "count", "said"].map(find);
  const maths = new Formulas(of);
  const inNames = new Writer(of, maths, true);
  const inNumbers = new Writer(of, maths, false);
  const aloud = new Writer(of, new Words(of), false);
  const cells = [...stage.querySelectorAll("td[data-line]")];
  const cellsOf = new Map();
  for (const cell of cells) {
    const line = Number(cell.dataset.line);
    if (!cellsOf.has(line)) cellsOf.set(line, []);
    cellsOf.get(line).push(cell);
  }
  const isGradient = (id) => Boolean(lines[id].name?.adjoint);
  const order = new Map([...cellsOf.keys()].map((id, k) => [id, (isGradient(id) ? cells.length : 0) + k])); // values first
  const isCell = (id) => cellsOf.has(id);
  const tables = [...stage.querySelectorAll("table.grid")];
  let pinned = 0; // a line
  let timer = 0;
  let marked = [];

  // --- what a number is made of, and where it goes ------------------------------------------------------------------

  const behind = (id) => { // a number under another name is what it stands for
    let line = lines[id];
    while (line.op === "same" && !isCell(line.args[0]) && lines[line.args[0]].args.length) line = lines[line.args[0]];
    return line;
  };

  // The parts of a number: terms of a sum or arguments of a maximum, each with the cells that it reads.
  function parts(line) {
    const listed = ["max", "min"].includes(line.op);
    const terms = listed ? line.args.map((arg) => ["", arg]) : inNames.terms(line);
    if (line.op === "mul") return [{ sign: "plus", id: line.id, read: read(line.id, true) }];
    if (terms.length > 1) return terms.map(([sign, id]) => ({ sign, id, read: read(id) }));
    return read(line.id, true).map((id) => ({ sign: "", id, read: [id] }));
  }

  // The cells that a line reads, itself included unless it is asked; what has a name and no cell is looked into.
  function read(id, asked = false) {
    const found = new Set();
    const waiting = asked ? [...lines[id].args].reverse() : [id];
    while (waiting.length) {
      const each = waiting.pop();
      if (isCell(each)) found.add(each);
      else waiting.push(...[...lines[each].args].reverse());
    }
    return [...found];
  }

  // The cells that are made of a line directly, each with the line through which it reads it.
  function uses(id) {
    const found = new Map();
    const waiting = lines[id].users.map((user) => [user, id]);
    while (waiting.length) {
      const [each, through] = waiting.pop();
      if (isCell(each)) { if (!found.has(each)) found.set(each, through); continue; }
      const via = SUMS.includes(lines[each].op) ? through : each; // the term of a sum, not the sum
      waiting.push(...lines[each].users.map((user) => [user, via]));
    }
    return [...found].sort((a, b) => order.get(a[0]) - order.get(b[0]));
  }

  // What decides where a gradient goes, though it is not computed from it: the maxima that compare its number.
  function deciding(id) {
    const number = isGradient(id) ? twin(id) : undefined;
    const decides = (user) => CHOICES.includes(lines[user].op) && lines[user].users.every((each) => lines[each].op !== "detach");
    return number === undefined ? [] : lines[number].users.filter(decides);
  }

  // All cells that a line is made of, or that are made of it.
  function reach(id, next) {
    const found = new Set();
    const waiting = [id];
    while (waiting.length) for (const each of next(lines[waiting.pop()])) if (!found.has(each)) { found.add(each); waiting.push(each); }
    return found;
  }

  // --- marks --------------------------------------------------------------------------------------------------------

  function mark(id, name, k) {
    for (const cell of cellsOf.get(id) ?? []) {
      cell.classList.add(name);
      if (k !== undefined && !cell.dataset.k) {
        cell.style.setProperty("--c", `var(--t${(k - 1) % COLOURS})`);
        cell.dataset.k = k;
      } else if (k !== undefined && cell.dataset.k.length < 8) cell.dataset.k += `,${k}`;
      marked.push(cell);
    }
  }

  function unmark() {
    for (const cell of marked) {
      cell.classList.remove("asked", "part", "reach", "twin");
      delete cell.dataset.k;
    }
    marked = [];
  }

  const twin = (id) => {
    const other = cellsOf.get(id)?.[0]?.dataset.twin;
    return other === undefined ? undefined : Number(other);
  };

  function show(id, filling = false) {
    unmark();
    const line = behind(id);
    const groups = grouped(line);
    const found = groups.flatMap(([, parts]) => parts);
    const goes = uses(id);
    for (const each of reach(id, (of) => of.args)) mark(each, "reach");
    for (const each of reach(id, (of) => of.users)) mark(each, "reach");
    found.forEach((part, k) => part.read.forEach((each) => mark(each, "part", k + 1)));
    if (found.length === 0) goes.forEach(([user], k) => mark(user, "part", k + 1));
    for (const user of deciding(id)) for (const each of read(user, true)) mark(each, "reach");
    mark(id, "asked");
    if (twin(id) !== undefined) mark(twin(id), "twin");
    answer.replaceChildren(...told(id, line, groups, goes));
    answer.classList.toggle("filling", filling && !calm);
  }

  // --- the answer ---------------------------------------------------------------------------------------------------

  const formula = (...parts) => element("math", element("mrow", ...parts));
  const relation = (id) => (lines[id].rounded ? "≈" : "=");
  const named = (id) => (lines[id].name ? maths.name(lines[id]) : maths.number(lines[id].text));

  // A sentence with names and numbers put in.
  function sentence(text, put) {
    return text.split(/(\{\w+\})/).filter(Boolean).map((piece) => {
      const found = put[piece.slice(1, -1)];
      return piece.startsWith("{") && found !== undefined ? found : piece;
    });
  }

  function told(id, line, groups, goes) {
    const head = made("p", "head", made("span", "result", formula(named(id), maths.operator(relation(id)), maths.number(lines[id].text))));
    const other = twin(id);
    if (other !== undefined) {
      const put = { name: formula(named(other)), value: formula(maths.number(lines[other].text)) };
      head.append(made("span", "aside", ...sentence(isGradient(id) ? words.is : words.gradient, put)));
    }
    const shown = [head];
    let before = 0;
    for (const [each, parts] of groups) {
      shown.push(...written(each, parts, before));
      before += parts.length;
    }
    if (groups.length > 1) shown.push(...written(line, parts(line), undefined));
    if (lines[id].op === "padding") shown.push(made("p", "aside", ...sentence(words.padding, { value: lines[id].text })));
    const choices = deciding(id);
    if (choices.length) {
      shown.push(made("p", "aside", lines[id].op === "constant" ? words.lost : words.decided));
      shown.push(made("ul", "uses", ...choices.slice(0, MANY).map((user) => made("li", "", chosen(user)))));
    } else if (lines[id].op === "constant") shown.push(made("p", "aside", words.nothing));
    if (goes.length) {
      shown.push(made("p", "aside", ...sentence(goes.length === 1 ? words.once : words.goes, { n: String(goes.length) })));
      shown.push(used(goes, before === 0));
    }
    return shown;
  }

  // The lines with a name and no cell that a line reads: sums of a channel.
  function between(line) {
    const found = new Set();
    const waiting = [...line.args];
    while (waiting.length) {
      const each = waiting.pop();
      if (isCell(each) || lines[each].args.length === 0) continue;
      if (lines[each].name) found.add(each);
      waiting.push(...lines[each].args);
    }
    return [...found].sort((a, b) => a - b);
  }

  // The lines to be written, each with its parts: those with a name and no cell (sums of channels), else the line itself.
  function grouped(line) {
    if (line.args.length === 0) return [];
    const named = between(line);
    return named.length ? named.map((id) => [lines[id], parts(lines[id])]) : [[line, parts(line)]];
  }

  // left = names = numbers = result, or the terms of a sum as cards, numbered from `before`.
  function written(line, found, before) {
    if (found.length > 1 && (["max", "min"].includes(line.op) || inNames.terms(line).length > 1)) return [cards(line, found, before)];
    const rows = [inNames.operation(line)[0], inNumbers.operation(line)[0]].map(broken);
    rows.push(formula(maths.number(line.text)));
    const kept = rows.filter((row, k) => k === 0 || row.textContent !== rows[k - 1].textContent);
    const shelf = made("div", "steps");
    kept.forEach((row, k) => {
      const sign = maths.operator(k && row === rows[2] ? relation(line.id) : "=");
      const left = k === 0 && line.name ? maths.name(line) : [];
      shelf.append(made("span", "", formula(...left, sign)), made("span", "", row));
    });
    return [shelf];
  }

  // A formula that may go on in a next line, where a sign stands between two parts of it.
  function broken(parts) {
    const pieces = [[]];
    for (const part of parts) {
      if (part.localName === "mo" && part.getAttribute("form") === "infix") pieces.push([]);
      pieces.at(-1).push(part);
    }
    return made("span", "", ...pieces.map((piece) => formula(...piece)));
  }

  function cards(line, found, before) {
    const shelf = made("div", "cards");
    const isSum = inNames.terms(line).length > 1;
    if (line.name) shelf.append(made("span", "between", formula(maths.name(line), maths.operator("="))));
    if (!isSum) shelf.append(made("span", "between", line.op, " "));
    const last = found.length - 1;
    found.forEach((part, k) => {
      if (found.length > MANY && k >= MANY - 2 && k < last - 1) {
        if (k === last - 2) shelf.append(made("span", "between", "… ", ...sentence(words.skipped, { n: String(last - MANY + 1) }), " … +"));
        return;
      }
      if (k || part.sign === "minus") shelf.append(made("span", "between", isSum ? (part.sign === "minus" ? "−" : "+") : ","));
      shelf.append(card(line, part, k, last, before));
    });
    shelf.append(made("span", "between", formula(maths.operator(relation(line.id)), maths.number(line.text))));
    return shelf;
  }

  // A term: its names, its numbers, what it is, and what the sum has come to.
  function card(line, part, k, last, before) {
    const each = lines[part.id];
    const number = before === undefined ? undefined : before + k;
    const names = formula(inNames.inside(part.id, ADDITIVE, true));
    const rows = [made("span", "", names)];
    if (!inNames.isAtom(each)) rows.push(made("span", "", formula(inNumbers.inside(part.id, ADDITIVE, true))));
    if (each.args.length || each.name) rows.push(made("span", "value", formula(maths.operator(relation(each.id)), maths.number(each.text))));
    const sum = k > 0 && k < last ? line.partial?.[k - 1] : undefined;
    if (line.partial) {
      const text = k === 0 ? each.text : k === last ? line.text : sum === undefined ? "" : of.texts[sum];
      rows.push(made("span", "sum", text ? `Σ ${text}` : "\u00a0"));
    }
    const shown = made("div", "card", ...rows);
    if (number !== undefined) {
      shown.prepend(made("span", "k", String(number + 1)));
      shown.style.setProperty("--c", `var(--t${number % COLOURS})`);
    }
    shown.style.setProperty("--n", Math.min(k, MANY));
    // of equal numbers the first one passes
    if (["max", "min"].includes(line.op) && part.id === line.args.find((arg) => lines[arg].text === line.text)) shown.classList.add("won");
    return shown;
  }

  // How a number is used: as a term of a sum, else in a formula.
  function how(user, through) {
    const line = behind(user);
    if (inNames.terms(line).length > 1 && inNames.terms(line).some(([, term]) => term === through) && !inNames.isAtom(lines[through])) {
      const value = maths.number(lines[through].text);
      const numbers = formula(inNumbers.inside(through)).textContent === formula(value).textContent
        ? [] : [formula(maths.operator("="), inNumbers.inside(through))];
      return sides(formula(named(user), maths.operator(":"), inNames.inside(through)), ...numbers,
        formula(maths.operator(relation(through)), value));
    }
    const whole = read(line.id, true).length <= 4 ? inNames.operation(line)[0] : maths.number("…");
    return sides(formula(named(user), maths.operator("="), whole), formula(maths.operator(relation(user)), maths.number(lines[user].text)));
  }

  // Sides of an equation, between which a line may break: no browser breaks a formula.
  function sides(...formulas) {
    return formulas.flatMap((each, k) => (k ? [document.createElement("wbr"), each] : [each]));
  }

  function chosen(id) {
    const name = lines[id].name ? [...maths.name(lines[id]), maths.operator("=")] : [];
    return formula(...name, inNumbers.operation(lines[id])[0], maths.operator(relation(id)), maths.number(lines[id].text));
  }

  function used(goes, coloured) {
    const list = made("ul", "uses");
    goes.slice(0, MANY).forEach(([user, through], k) => {
      const item = made("li", "", ...how(user, through));
      if (coloured) item.style.setProperty("--c", `var(--t${k % COLOURS})`);
      list.append(item);
    });
    if (goes.length > MANY) list.append(made("li", "", ...sentence(words.more, { n: String(goes.length - MANY) })));
    return list;
  }

  // What a screen reader says of a number.
  function spoken(id) {
    const line = behind(id);
    const name = lines[id].name ? aloud.notation.name(lines[id]) : "";
    const is = (each) => words[each.rounded ? "about" : "equals"];
    const result = aloud.notation.number(lines[id].text);
    if (line.args.length === 0) {
      const other = lines[id].op === "padding" ? sentence(words.padding, { value: result }).join("") : `${name} ${is(lines[id])} ${result}`;
      const goes = uses(id);
      if (lines[id].op === "constant" && lines[id].name?.adjoint) return `${other}. ${deciding(id).length ? words.lost : words.nothing}`;
      const where = goes.length ? sentence(goes.length === 1 ? words.once : words.goes, { n: String(goes.length) }).join("") : "";
      const list = goes.slice(0, 6).map(([user]) => aloud.notation.name(lines[user])).join(", ");
      return [other, where && `${where} ${list}`].filter(Boolean).join(". ");
    }
    const spelt = parts(line).length > MANY ? "" : `${words.equals} ${aloud.operation(line)[0]} `;
    return `${name} ${spelt}${is(lines[id])} ${result}`;
  }

  // --- pins and steps -----------------------------------------------------------------------------------------------

  const steps = new Map(); // by array, its cells in order
  for (const id of cellsOf.keys()) {
    if (lines[id].op === "padding") continue;
    if (!steps.has(lines[id].array)) steps.set(lines[id].array, []);
    steps.get(lines[id].array).push(id);
  }
  const computed = [...cellsOf.keys()].filter((id) => lines[id].args.length && !isGradient(id)).sort((a, b) => a - b);
  const list = (id) => { // what is gone through from here: the array, or of a single number all that leads to it
    const array = steps.get(lines[id].array) ?? [id];
    return array.length === 1 && computed.includes(id) ? computed : array;
  };
  const home = list(of.focus);
  let walk = home;

  function pin(id, quiet = false) {
    pinned = id;
    stage.dataset.asked = exercise(id);
    for (const cell of stage.querySelectorAll("td.pinned")) cell.classList.remove("pinned");
    for (const cell of cellsOf.get(id) ?? []) cell.classList.add("pinned");
    show(id, true);
    if (!walk.includes(id)) walk = list(id);
    const k = Math.max(0, walk.indexOf(id));
    slider.max = Math.max(1, walk.length);
    slider.value = k + 1;
    const title = sentence(words.step, { k: String(k + 1), n: String(walk.length) }).join("");
    slider.setAttribute("aria-valuetext", title);
    count.replaceChildren(title, lines[id].name ? ": " : "", lines[id].name ? formula(maths.name(lines[id])) : "");
    said.textContent = `${title}: ${spoken(id)}`;
    back.disabled = k === 0;
    forward.disabled = k >= walk.length - 1;
    reveal(cellsOf.get(id)?.[0]);
    if (!quiet) remember(id, k);
  }

  // What an exercise can ask for: an element of the output, or of the gradient of an input.
  function exercise(id) {
    const role = isGradient(id) ? "input" : "output";
    return cellsOf.get(id)?.[0].closest(".pair")?.classList.contains(role) && lines[id].name ? `${lines[id].name.symbol}[${lines[id].at}]` : "";
  }

  function remember(id, k) {
    try {
      history.replaceState(null, "", walk[0] === home[0] ? `#step=${k + 1}` : `#line=${id}`);
    } catch {} // a page inside another one may have no address
  }

  // What is asked comes into sight where a page is narrower than what it shows.
  function reveal(cell) {
    const shelf = cell?.closest(".scroll");
    if (!shelf) return;
    const left = cell.offsetLeft;
    if (left < shelf.scrollLeft || left + cell.offsetWidth > shelf.scrollLeft + shelf.clientWidth) shelf.scrollLeft = left - 8;
  }

  function pause() {
    clearTimeout(timer);
    timer = 0;
    play.textContent = play.dataset.play;
    said.setAttribute("aria-live", "polite"); // while it plays, nobody could listen to every step
  }

  function go(k) {
    pause();
    pin(walk[Math.max(0, Math.min(walk.length - 1, k))]);
  }

  const now = () => walk.indexOf(pinned);

  function run() {
    timer = setTimeout(() => {
      const k = now() + 1;
      if (k < walk.length) pin(walk[k], k < walk.length - 1);
      if (k >= walk.length - 1) pause();
      else run();
    }, (1000 * SECONDS) / Number(speed.value));
  }

  function start() {
    if (now() === walk.length - 1) pin(walk[0]);
    play.textContent = play.dataset.pause;
    said.setAttribute("aria-live", "off");
    run();
  }

  // Up and down in the table of the pinned number.
  function vertical(by) {
    const cell = cellsOf.get(pinned)?.[0];
    const row = cell?.closest("tr")[by < 0 ? "previousElementSibling" : "nextElementSibling"];
    const other = row?.children[cell.cellIndex];
    pause();
    if (other?.dataset.line) pin(Number(other.dataset.line));
  }

  // --- the page -----------------------------------------------------------------------------------------------------

  function shades() {
    for (const table of tables) {
      const own = [...table.querySelectorAll("td[data-line]")];
      const sizes = own.map((cell) => Math.abs(Number(lines[cell.dataset.line].text.replaceAll("−", "-"))) || 0);
      const largest = Math.max(0, ...sizes.filter(Number.isFinite));
      if (largest === 0) continue;
      const text = lines[own[sizes.indexOf(largest)].dataset.line].text.replace("−", "");
      if (own.length > 1) table.closest(".sheet").querySelector(".scale").textContent = `±${text}`;
      own.forEach((cell, k) => {
        cell.style.setProperty("--v", Math.min(1, sizes[k] / largest).toFixed(3));
        cell.classList.add(lines[cell.dataset.line].text.startsWith("−") ? "minus" : "plus");
      });
    }
  }

  const under = (event) => event.target.closest?.("td[data-line]");
  stage.addEventListener("pointerover", (event) => {
    if (event.pointerType === "touch" || timer) return;
    if (under(event)) show(Number(under(event).dataset.line));
    else if (!event.target.closest(".answer")) show(pinned);
  });
  stage.addEventListener("pointerleave", () => timer || show(pinned));
  stage.addEventListener("click", (event) => {
    if (!under(event)) return;
    pause();
    pin(Number(under(event).dataset.line));
  });
  for (const table of tables) {
    table.addEventListener("focus", () => {
      const first = table.querySelector("td[data-line]");
      if (table.matches(":focus-visible") && first && !cellsOf.get(pinned)?.some((cell) => table.contains(cell))) pin(Number(first.dataset.line));
    });
  }

  const keys = {
    " ": () => (timer ? pause() : start()), ArrowLeft: () => go(now() - 1), ArrowRight: () => go(now() + 1),
    ArrowUp: () => vertical(-1), ArrowDown: () => vertical(1), Home: () => go(0), End: () => go(walk.length - 1),
    Enter: () => twin(pinned) !== undefined && pin(twin(pinned)),
  };
  document.addEventListener("keydown", (event) => {
    const elsewhere = event.altKey || event.ctrlKey || event.metaKey || event.target.closest?.("input, select, summary, textarea");
    const pressed = [" ", "Enter"].includes(event.key) && event.target.closest?.("button, a"); // which answer by themselves
    const scrolls = event.key.startsWith("Arrow") && ["ArrowUp", "ArrowDown"].includes(event.key) && !stage.contains(document.activeElement);
    if (elsewhere || pressed || scrolls || !(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
  });
  play.addEventListener("click", keys[" "]);
  back.addEventListener("click", keys.ArrowLeft);
  forward.addEventListener("click", keys.ArrowRight);
  slider.addEventListener("input", () => go(Number(slider.value) - 1));
  speed.addEventListener("change", () => timer && (clearTimeout(timer), run()));
  view.addEventListener("change", () => {
    root.classList.remove("numbers", "shades");
    root.classList.add(...view.value.split(" "));
  });
  window.addEventListener("beforeprint", () => { still.open = true; });
  window.addEventListener("afterprint", () => { still.open = false; });
  const linked = () => {
    const [, kind, n] = /^#(step|line)=(\d+)$/.exec(location.hash) ?? [];
    const id = kind === "step" ? home[Math.min(home.length, Number(n)) - 1] : Number(n);
    return kind && isCell(id) ? id : undefined;
  };
  window.addEventListener("hashchange", () => linked() !== undefined && linked() !== pinned && pin(linked()));

  stage.hidden = false;
  still.open = false;
  root.classList.add("moves", ...view.value.split(" "));
  shades();
  pinned = of.focus;
  pin(linked() ?? of.focus, true);
}

for (const root of document.querySelectorAll(".opcheck .board")) board(root);
