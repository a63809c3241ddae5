// Links that go to the clipboard, and what who sends them should know.
"use strict";

async function copied(button, text) {
  const name = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    prompt("", text);
    return;
  }
  button.textContent = button.dataset.done;
  setTimeout(() => { button.textContent = name; }, 1200);
}

// A link works where a server of one's own runs: that is said when one is copied.
function sent(button, address) {
  copied(button, address);
  const told = document.querySelector(".toast");
  if (!told) return;
  told.textContent = told.dataset.told;
  setTimeout(() => { told.textContent = ""; }, 9000);
}

for (const button of document.querySelectorAll("button.link[data-address]")) {
  button.addEventListener("click", () => sent(button, new URL(button.dataset.address, location.href).href));
}
