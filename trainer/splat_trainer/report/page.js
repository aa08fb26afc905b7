for (const range of document.querySelectorAll(".compare input")) {
  const move = () => range.parentElement.style.setProperty("--at", range.value + "%");
  range.addEventListener("input", move);
  move();
}
