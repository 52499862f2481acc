
// Labels keep their size whatever the picture's.
const sized = new ResizeObserver((changes) => {
  for (const { target, contentRect } of changes) {
    target.style.setProperty("--unit", target.viewBox.baseVal.width / contentRect.width);
    target.classList.add("sized");
  }
});
for (const svg of document.querySelectorAll("svg")) sized.observe(svg);

// A line lights up in the picture and in the text at once.
let lit = [];
const light = (event) => {
  const id = event.target.closest?.("[data-of]")?.dataset.of;
  for (const one of lit) one.classList.remove("lit");
  lit = id ? [...document.querySelectorAll(`[data-of="${CSS.escape(id)}"]`)] : [];
  for (const one of lit) one.classList.add("lit");
  const other = lit.find((one) => one !== event.target.closest("[data-of]"));
  if (event.type === "click" && other) other.scrollIntoView({ block: "nearest", behavior: "smooth" });
};
document.addEventListener("mouseover", light);
document.addEventListener("click", light);
