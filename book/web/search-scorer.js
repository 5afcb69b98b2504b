// What the search puts first: the glossary's entries and the chapters, which explain; then the
// companion's reference and the bibliography, which list. A whole word in a text counts for more than
// a part of one in a heading: who asks for OAR does not mean tensorboard. The names are those of Sphinx.
var Scorer = {
  score: ([page, , , , score]) =>
    ["book/companion", "book/bibliography", "book/build-status"].includes(page) ? score / 4 : score,
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 8,
  partialTerm: 2,
};
