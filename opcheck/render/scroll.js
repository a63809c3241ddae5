// What scrolls sideways can be reached with the keyboard; what does not is no stop on the way.
(() => {
  function look() {
    for (const each of document.querySelectorAll(".scroll")) {
      const wide = each.scrollWidth > each.clientWidth && !each.querySelector("[tabindex]");
      if (wide) each.setAttribute("tabindex", "0"); else each.removeAttribute("tabindex");
    }
  }
  look();
  addEventListener("resize", look);
  document.addEventListener("toggle", look, true);
})();
