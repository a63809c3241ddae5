// Questions: an answer goes to the server, which says how it stands; how far a lesson was read goes there, too.
"use strict";

async function send(to, what) {
  const response = await fetch(to, {
    method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(what),
  });
  return response.json();
}

for (const question of document.querySelectorAll(".question")) {
  const {seed, number, level, kind, exercise, to, question: asked} = question.dataset;
  const names = asked ? {question: Number(asked)} : exercise ? {exercise} : {seed, number, level, kind};
  const verdict = question.querySelector(".verdict");
  const hints = question.querySelectorAll(".hint");
  let first = true; // neither a wrong answer nor a hint so far

  async function answer(what) {
    let found;
    try {
      found = await send(to, {...names, first, ...what});
    } catch {
      found = {told: "…"};
    }
    verdict.textContent = [found.told ?? found.sentence, found.trouble].filter(Boolean).join(" ");
    verdict.className = `verdict ${found.right ? "right" : what.skip ? "told" : ""}`;
    first = false;
    if (!found.ends) return;
    question.classList.add("done");
    const score = document.querySelector(".score");
    if (score && found.score) score.textContent = found.score;
    const next = question.querySelector(".next");
    if (next) next.hidden = false;
    if (what.skip) question.querySelector(".whole")?.setAttribute("open", "");
    const after = question.querySelector(".after");
    if (after && found.code) {
      after.hidden = false;
      after.querySelector("pre").textContent = found.code;
      after.querySelector(".remark").innerHTML = found.remark; // our own lesson's prose, made by the server
    }
    if (found.right) next?.querySelector("a").focus();
  }

  question.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = question.querySelector("input").value.trim();
    if (text) answer({answer: text});
  });
  question.querySelector(".skip").addEventListener("click", () => answer({skip: true}));
  for (const hint of hints) hint.addEventListener("toggle", () => { first = first && !hint.open; });
}

// A part of a lesson is read when its end was seen.
for (const lesson of document.querySelectorAll(".lesson")) {
  let most = 0;
  let timer = 0;
  const seen = new IntersectionObserver((entries) => {
    for (const each of entries) {
      if (each.isIntersecting || each.boundingClientRect.bottom < 0) most = Math.max(most, Number(each.target.parentElement.dataset.part));
    }
    clearTimeout(timer);
    timer = setTimeout(() => send(lesson.dataset.to, {read: most}), 800);
  });
  for (const part of lesson.querySelectorAll(".part")) {
    const end = document.createElement("span");
    end.className = "end";
    part.append(end);
    seen.observe(end);
  }
}

// A page that stands in a lesson is as high as it needs to be, within reason.
for (const page of document.querySelectorAll("iframe.live")) {
  page.addEventListener("load", () => {
    const arrays = page.contentDocument.querySelector(".panels");
    if (arrays && innerWidth < 640) page.contentWindow.scrollTo(0, arrays.getBoundingClientRect().top - 8);
    const height = page.contentDocument.querySelector("main")?.getBoundingClientRect().bottom ?? 0;
    if (height) page.style.height = `min(${Math.ceil(height + 24)}px, 90svh, 44rem)`;
  });
}
