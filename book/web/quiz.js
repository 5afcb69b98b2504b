// Show the reason for a choice below the question, where screen readers announce it.
// Without this script each choice has its reason folded below it.
"use strict";

for (const quiz of document.querySelectorAll(".quiz")) {
  const said = quiz.querySelector(".quiz-said");
  quiz.classList.add("quiz-live");
  quiz.addEventListener("change", (event) => {
    const choice = event.target.closest(".quiz-choice");
    const right = event.target.dataset.right === "true";
    for (const other of quiz.querySelectorAll(".quiz-choice")) {
      other.classList.remove("quiz-right", "quiz-wrong");
    }
    choice.classList.add(right ? "quiz-right" : "quiz-wrong");
    // A copy, so that print and find-in-page keep the reason where it belongs. MathJax has typeset
    // it by now, and its elements keep their text for screen readers when they are copied.
    const why = choice.querySelector(".quiz-why").cloneNode(true);
    said.replaceChildren(...why.childNodes);
  });
}

// What is folded cannot be read on paper.
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll(".quiz-reason")) {
    details.open = true;
  }
});
addEventListener("afterprint", () => {
  for (const details of document.querySelectorAll(".quiz-reason")) {
    details.open = false;
  }
});
