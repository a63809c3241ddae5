// Moves the frames of a page. The page holds every number once; what changes says when, in numbers of frames:
//   data-in="0-3 7"    seen in these frames only         data-mark="5"    marked in these frames
// A link that ends with #step=3 opens the page at that step. Nothing is loaded and nothing is sent.
"use strict";

for (const motion of document.querySelectorAll(".opcheck .motion:not(.board)")) {
  const stage = motion.querySelector(".stage");
  const still = motion.querySelector(".still");
  const find = (name) => stage.querySelector(`.controls .${name}`);
  const [play, slider, speed, count, said] = ["play", "slider", "speed", "count", "said"].map(find);
  const frames = [...stage.querySelectorAll(".frame")];
  const last = frames.length - 1;
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  const SECONDS = 1.4; // a frame, at speed 1
  let now = 0;
  let timer = 0;

  // "0-3 7" as a set
  const numbers = (text) => {
    const found = new Set();
    for (const run of text ? text.split(" ") : []) {
      const [first, end = first] = run.split("-").map(Number);
      for (let k = first; k <= end; k += 1) found.add(k);
    }
    return found;
  };
  const parts = (name) => [...stage.querySelectorAll(`[data-${name}]`)].map((part) => [part, numbers(part.dataset[name])]);
  const seen = parts("in");
  const marked = parts("mark");
  const drawing = stage.querySelector(".drawing");

  // What is marked comes into sight where a page is narrower than what it shows.
  function reveal(shelf, left, right) {
    if (left < shelf.scrollLeft || right > shelf.scrollLeft + shelf.clientWidth) shelf.scrollLeft = left - 8;
  }

  function settle() {
    const boxes = drawing ? [...drawing.querySelectorAll(".box.marked")].map((box) => box.getBoundingClientRect()) : [];
    if (boxes.length === 0) return;
    const home = drawing.getBoundingClientRect().left - drawing.scrollLeft;
    reveal(drawing, Math.min(...boxes.map((box) => box.left)) - home, Math.max(...boxes.map((box) => box.right)) - home);
  }

  function show(frame) {
    now = Math.max(0, Math.min(last, frame));
    for (const [part, when] of seen) part.classList.toggle("off", !when.has(now));
    for (const [part, when] of marked) part.classList.toggle("marked", when.has(now));
    settle();
    slider.value = now + 1;
    slider.setAttribute("aria-valuetext", frames[now].dataset.title);
    count.textContent = frames[now].dataset.title;
    said.textContent = frames[now].dataset.say;
    find("back").disabled = now === 0;
    find("forward").disabled = now === last;
  }

  function pause() {
    clearTimeout(timer);
    timer = 0;
    play.textContent = play.dataset.play;
    said.setAttribute("aria-live", "polite"); // while it plays, nobody could listen to every step
    try {
      history.replaceState(null, "", `#step=${now + 1}`);
    } catch {} // a page inside another one may have no address
  }

  function go(frame) {
    pause();
    show(frame);
    pause();
  }

  function run() {
    timer = setTimeout(() => {
      show(now + 1);
      if (now === last) pause();
      else run();
    }, (1000 * SECONDS) / Number(speed.value));
  }

  function start() {
    if (now === last) show(0);
    play.textContent = play.dataset.pause;
    said.setAttribute("aria-live", "off");
    run();
  }

  const toggle = () => (timer ? pause() : start());
  const keys = {
    " ": toggle, ArrowLeft: () => go(now - 1), ArrowRight: () => go(now + 1), Home: () => go(0), End: () => go(last),
  };
  document.addEventListener("keydown", (event) => {
    const elsewhere = event.altKey || event.ctrlKey || event.metaKey || event.target.closest?.("input, select, summary");
    const pressed = event.key === " " && event.target.closest?.("button"); // the button answers by itself
    if (elsewhere || pressed || !(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
  });
  play.addEventListener("click", toggle);
  find("back").addEventListener("click", keys.ArrowLeft);
  find("forward").addEventListener("click", keys.ArrowRight);
  slider.addEventListener("input", () => go(Number(slider.value) - 1));
  speed.addEventListener("change", () => timer && (clearTimeout(timer), run()));
  window.addEventListener("resize", settle);
  window.addEventListener("beforeprint", () => { still.open = true; });
  window.addEventListener("afterprint", () => { still.open = false; });
  const linked = () => /^#step=(\d+)$/.exec(location.hash);
  window.addEventListener("hashchange", () => linked() && go(Number(linked()[1]) - 1));

  stage.hidden = false;
  still.open = false;
  motion.classList.add("moves");
  show(linked() ? Number(linked()[1]) - 1 : 0);
  if (!linked() && !calm) start();
}
