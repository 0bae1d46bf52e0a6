// The search, which book.js loads when someone searches: BOOK is what _ext/search.py wrote, MiniSearch what finds in it.
"use strict";

const STOP = new Set(`a after an and are as at be but by can could do does for from get give gives had has have how i if in into is it
  its just me must my no not of on or s should so some t take than that the then there they this to was we what when where which
  while why will with you your`.split(/\s+/));
const WORD = /\d+(?:[,_]\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?(?![\p{L}\d])|\d*[\p{L}_][\p{L}\p{N}_]*(?:-\p{L}[\p{L}\p{N}]*)*/giu;

// A number is the same in other digits if the longer one, rounded or cut to the digits of the shorter, is the shorter. So it
// is found by itself, "#", and, where it has a fraction, as what a longer one becomes with fewer digits, "~".
const shorter = (value, least, sign) => {
  const [mantissa, exponent] = value.toExponential().split("e");
  const lengths = Array.from({ length: Math.max(0, mantissa.length - 1 - least) }, (_, i) => least + i);
  return lengths.flatMap((n) => [sign + Number(value.toPrecision(n)), sign + Number(`${mantissa.slice(0, n + 1)}e${exponent}`)]);
};
const asNumber = (word) => (/^\d/.test(word) ? Number(word.replace(/[,_]/g, "")) : NaN);
const stem = (word) => (word.length < 4 ? word : word.replace(/ies$/, "y").replace(/(ss|x|sh|ch)es$/, "$1").replace(/([^sui])s$/, "$1"));

// Short names, and the words that the book has for them.
const SAME = new Map(Object.entries({ fp16: "float16", bf16: "bfloat16", fp32: "float32", fp64: "float64", acc: "accuracy",
  val: "validation", infinity: "inf", infinite: "inf", ppl: "perplexity", kld: "kl", kullback: "kl", leibler: "kl", grad: "gradient",
  categories: "class", category: "class" }));

// A name is found by its parts, however they are joined, and as a whole: cross-entropy, cross_entropy, CrossEntropyLoss.
const terms = (asked) => (word) => {
  const value = asNumber(word);
  if (!Number.isNaN(value)) {
    if (Number.isInteger(value)) return [`#${value}`];
    return [`#${value}`, ...(asked ? [`~${value}`, ...shorter(value, 3, "#")] : shorter(value, 2, "~"))];
  }
  const parts = word.replace(/^NaN/, "nan").match(/\p{Lu}+(?!\p{Ll})\d*|\p{Lu}?\p{Ll}+\d*|\d+\p{L}+/gu) ?? [];
  const whole = word.replace(/[-_]/g, "");
  const spelt = [...(parts.length > 1 ? parts : []), whole].map((part) => stem(part.toLowerCase()));
  const found = [...new Set(spelt.map((part) => SAME.get(part) ?? part))];
  return found.filter((term) => term && !STOP.has(term));
};

let index, built;
const uses = Object.create(null); // how often each term stands in the book
const build = async () => { // in pieces, so that the page answers meanwhile
  const made = new MiniSearch({
    fields: ["page", "title", "words", "text"],
    tokenize: (text) => text.match(WORD) ?? [],
    processTerm: (word) => terms(false)(word).map((term) => ((uses[term] = (uses[term] ?? 0) + 1), term)),
    searchOptions: { processTerm: terms(true) },
  });
  const isChapter = ([, page]) => /^\d/.test(page);
  const [first, last] = [BOOK.sections.findIndex(isChapter), BOOK.sections.findLastIndex(isChapter)];
  const sections = BOOK.sections.map(([, page, title, words, text], id) => ({ id, page, title: title || page, words, text }));
  await made.addAllAsync(sections, { chunkSize: 10 });
  made.place = (id) => (id < first ? 1.25 : id > last ? 0.6 : 1); // Start here, chapters, appendices
  index = made;
};

// What people say of a loss that does not change has many words, and the book has one.
const STUCK = RegExp(
  "(?:\\bnot?|n['’]?t|\\bnever|\\bstop\\w*|\\bwithout)\\s+(?:\\w+\\s+)?" +
    "(?:go\\w*\\s+(?:down|lower)|(?:chang|converg|decreas|drop|fall|improv|learn|lower|mov|reduc)\\w*)|" +
    "\\b(?:always|stay\\w*|remain\\w*|keep\\w*|stick\\w*)\\s+(?:\\w+\\s+)?(?:at|constant|same|\\d)\\b|\\bplateau\\w*",
  "gi",
);

// What was pasted: the words of its last error, of a path the last name, and of a C++ function not the types of its arguments.
const question = (text) =>
  (text.match(/.*\b\w*(?:Error|Exception|Warning):(.*\w\W+\w.*)/s)?.[1] ?? text)
    .replace(/(?:[\w.:<>~-]*[\/\\])+(?=\S)/g, " ")
    .replace(/\((?:const )?\w+ \*[^()]*\)?|\[with [^\]]*\]?|\b(?:block|thread): \[[\d,]*\]?,?/g, " ")
    .replace(STUCK, " stuck ")
    .replace(/\b(?:(?:small|low)er than|less than|below|under) (?:zero|0(?![.\d]))/gi, " negative ");

const SYMPTOMS = ["nan", "inf", "negative", "stuck"]; // a section that has the others and not this one is less likely meant

const find = (text) => {
  const results = index.search(question(text), {
    boost: { title: 3, words: 4 },
    prefix: (term) => term.length > 3 && !/^[#~]/.test(term),
    fuzzy: (term) => (term.length > 5 && !/^[#~]/.test(term) ? 0.2 : false),
    weights: { fuzzy: 0.1, prefix: 0.2 },
    // Words of all chapters say little, and so do short numbers, which are labels, sizes or lines of files.
    boostTerm: (term) => (/^[#~][\d.]{1,3}$/.test(term) ? 0.2 : 1) / (1 + Math.log1p((uses[term] ?? 0) / 30)),
    boostDocument: (id) => index.place(id),
  });
  // Sections that have more of the words come first, and those whose index has an entry that is asked for word by word.
  const most = Math.max(...results.map(({ queryTerms }) => queryTerms.length));
  const asked = new Set([text, question(text)].flatMap((words) => (words.match(WORD) ?? []).flatMap(terms(false))));
  for (const result of results) {
    const isAsked = (entry) => {
      const words = (entry.match(WORD) ?? []).filter((word) => /\p{L}/u.test(word) && terms(false)(word).length);
      return words.length > 2 && words.every((word) => terms(false)(word).every((term) => asked.has(term)));
    };
    const [address, , , words] = BOOK.sections[result.id];
    const entries = words.split(", ");
    const named = entries.some((entry) => entry.toLowerCase() === text.trim().toLowerCase() || isAsked(entry));
    const shown = SYMPTOMS.every((symptom) => !asked.has(symptom) || result.queryTerms.includes(symptom));
    result.score *= Math.sqrt(result.queryTerms.length / most) * (named ? 1.5 : 1) * (shown ? 1 : 0.6);
  }
  // A number leads to the sections that explain it, also where they print other digits.
  const meant = meanings(text);
  const causes = meant.map(([, , , address]) => address);
  const part = isNumber(text) ? 1 : /nan|inf/i.test(meant[0]?.[0]) ? 0.75 : 0.5; // of the best score: what else is asked counts, too
  const best = Math.max(1, ...results.map(({ score }) => score));
  BOOK.sections.forEach(([address], id) => {
    if (!causes.includes(address)) return;
    const result = results.find((result) => result.id === id) ?? (results.push({ id, score: best / 10, terms: [] }), results.at(-1));
    result.score += (part - 0.01 * causes.indexOf(address)) * best;
  });
  return results.sort((one, other) => other.score - one.score);
};

// The sentence that has most of the words, with these marked. A word counts the more, the fewer sections have it.
const sentence = (text, found, weight) => {
  const hits = (word) => terms(false)(word).filter((term) => found.has(term));
  const reads = (piece) => (/(?:\p{Ll}{2,}[,;]? ){3}/u.test(piece) ? 2 : 1); // a sentence says more than a printout
  const score = (piece) =>
    reads(piece) * [...new Set((piece.match(WORD) ?? []).flatMap(hits))].reduce((sum, term) => sum + weight(term), 0);
  const pieces = text.split("\n").flatMap((line) => line.split(/(?<=[^.]{40}[.?!:]) (?=\p{Lu})/u));
  const scores = pieces.map(score);
  const best = pieces[scores.indexOf(Math.max(...scores))];
  const first = [...best.matchAll(WORD)].find(([word]) => hits(word).length)?.index ?? 0;
  const start = best.length > 240 && first > 120 ? best.indexOf(" ", first - 100) + 1 : 0;
  const shown = best.length - start > 240 ? `${best.slice(start, best.lastIndexOf(" ", start + 240))} …` : best.slice(start);
  const line = document.createElement("p");
  line.append(start ? "… " : "");
  let end = 0;
  for (const { 0: word, index: at } of shown.matchAll(WORD)) {
    if (!hits(word).length) continue;
    line.append(shown.slice(end, at), Object.assign(document.createElement("mark"), { textContent: word }));
    end = at + word.length;
  }
  line.append(shown.slice(end));
  return line;
};

const link = (address, textContent) =>
  Object.assign(document.createElement("a"), { href: document.documentElement.dataset.content_root + address, textContent });

const list = (text) => {
  const results = find(text).filter(({ score }, _, [best]) => score > best.score / 20);
  const counts = Object.create(null);
  for (const { terms } of results) for (const term of terms) counts[term] = (counts[term] ?? 0) + 1;
  return results.slice(0, 20).map(({ id, terms }) => {
    const [address, page, title, , text] = BOOK.sections[id];
    const hit = document.createElement("li");
    hit.append(link(address, title ? `${page} › ${title}` : page), sentence(text, new Set(terms), (term) => 1 / counts[term]));
    return hit;
  });
};

// What a number may be, by the table "Numbers that name their cause", whose words tell the kinds of its rows apart.
const digitsOf = (text) => text.replace(/e.*/i, "").replace(/\D/g, "").replace(/^0+/, "").length;
const SHARES = [[1, 2], [1, 3], [2, 3], [1, 4], [3, 4], [1, 5], [2, 5], [3, 5], [4, 5], [1, 8], [1, 10], [3, 10], [7, 10], [9, 10]];
const PIECES = [[0.5, "half an"], [1, "one"], [2, "2"], [3, "3"], [4, "4"], [8, "8"]];
const english = (number) => number.toLocaleString("en");

// A comma between digits is a decimal one, unless it groups them: 0,693 and 2,303 are losses, 32,000 and 1,234.5 are not.
const NUMBER = /[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?(?![\d%])/gi;
const plain = (text) => text.trim().replace(/^[^\w+−-]+/, "").replaceAll("−", "-").replace(/^(\+?)(-?\d{1,2}),(?!000$)(\d+)$/, "$2.$3");
const isNumber = (text) => plain(text).match(NUMBER)?.[0] === plain(text) || /^(nan|-?inf(inity)?)$/i.test(plain(text));

const names = (asked) => {
  const text = plain(asked).replace(/^-?inf.*/i, "inf");
  const x = Number(text.replaceAll(",", ""));
  const digits = Math.min(digitsOf(text), 7); // a float32 has no more
  const unit = 0.99 * 10 ** (Math.floor(Math.log10(x)) + 1 - digits); // of the last, which may be rounded or cut
  const is = (value, least, error = 0) =>
    digits >= least && Math.abs(x - value) < Math.max(unit, error) && (Number.isInteger(value) || /[.e]/i.test(text));
  const exact = [], found = [], loose = [];
  const special = x === 0 ? "exactly 0" : x < 0 ? (x > -1e-5 ? "near 0" : "negative") : x > 0 ? "" : text.toLowerCase();
  for (const [loss, cause, ...more] of BOOK.numbers) {
    const add = (list, words) => list.push([words, ...more]);
    if (special) {
      if (loss.split(", ").includes(special)) add(exact, cause);
      continue;
    }
    const values = (loss.match(/\d[\d.]+(?:e-\d+)?/g) ?? []).map((word) => {
      const decimals = /\./.test(word) ? word.replace(/e.*|.*\./g, "").length - Number(word.split("e")[1] ?? 0) : Infinity;
      return [Number(word), 0.51 * 10 ** -decimals, word]; // with the error of what the table has rounded
    });
    const itself = values.findIndex(([value, error]) => is(value, 2, error));
    const close = values.find(([value]) => digits > 3 && Math.abs(x / value - 1) < 0.003); // as a mean of some batches is
    if (/\blog 2\b/.test(cause) && itself < 0 && close) add(found, cause.replace("it is", "it is near"));
    if (/\blog C\b/.test(cause)) {
      const known = cause.match(/\d[\d,]*\d/g)[itself];
      const [low, high] = [Math.ceil(Math.exp(x - unit)), Math.floor(Math.exp(x + unit))];
      const classes = known ?? [...new Set([low, high])].map(english).join(" to ");
      const near = digits > 2 && low > 1 && low <= high && high - low <= low / 50 && high < 3e5;
      if (!known && close) {
        const nearest = cause.match(/\d[\d,]*\d/g)[values.indexOf(close)];
        add(found, `it is near ${close[2]}, log C for ${nearest} classes, all equally likely`);
      }
      if (known || near) add(known ? exact : low === high ? found : loose, `it is log C for ${classes} classes, all equally likely`);
    } else if (/^it is the eps/.test(cause)) {
      const types = cause.match(/b?float\d+/g);
      const meaning = cause.split(types.at(-1))[1];
      values.forEach(([eps], i) => PIECES.forEach(([factor, name]) => {
        if (is(factor * eps, 3)) add(factor === 1 ? exact : found, `it is ${name} eps of ${types[i]}${meaning}`);
        if (factor <= 1 && is(-Math.log(factor * eps), 4)) add(found, `it is −log of ${name} eps of ${types[i]}${meaning}`);
      }));
    } else if (itself >= 0) add(exact, cause);
    else if (/^it is half the mean/.test(cause)) {
      if (is(2 * values[0][0], 4, 2 * values[0][1])) add(found, cause.replace(/half (.*), .*/, "$1"));
    } else if (/\b(clip|stops)/.test(cause)) {
      for (let power = 3; / 0 at 1e-7$/.test(cause) && power < 16; power += 1)
        if (is(power * Math.LN10, 4, 0.001)) add(found, `it is −log 1e-${power}, of a probability of 0 that is clipped at 1e-${power}`);
      for (const [value, error, word] of values)
        for (const [k, n] of SHARES) if (is((k / n) * value, n > 2 ? 4 : 3, (k / n) * error)) add(found, `it is ${k}/${n} of ${word}. ${cause}`);
    }
  }
  if (exact.length) return exact;
  return [...found, ...loose].map(([words, ...more]) => [words.replace(/it is (?!near)/, "it may be "), ...more]);
};

// What may be meant by a number that stands alone, by a loss of nan or inf in a log, or by the first number of a text that is in
// the table or follows "loss".
const meanings = (text) => {
  const logged = text.match(/(?:loss|grad\w*norm)['"]?\s*(?:[:=]|is|was|becomes?|became|goes to)\s*(nan|inf)\b/i)?.[1];
  if (isNumber(text) || logged) return names(logged ?? text).map((meaning) => [logged ?? text.trim(), ...meaning]);
  for (const { 0: number, index: at, input } of text.replaceAll("−", "-").matchAll(NUMBER)) {
    const isLoss = /(?:loss|entropy|bce|nll)(?![\W_]?scal)[^\d\n]{0,24}$/i.test(input.slice(0, at));
    const found = /[.e]/i.test(number) ? names(number) : [];
    const meant = found.filter(([cause]) => isLoss || (Number(number) > 0 && !/\bmay be\b/.test(cause)));
    if (meant.length) return meant.map((meaning) => [number, ...meaning]);
  }
  return [];
};
const answers = (text) =>
  meanings(text).slice(0, 3).map(([number, cause, read, address]) => [`${number}: ${cause}. Read on: `, link(address, read)]);

// The fields that answer as one types, and the page of results.
const box = document.querySelector("#search-results");
for (const field of document.querySelectorAll(".ask input")) {
  const status = field.form.querySelector("[role=status]");
  const answer = () => {
    status.replaceChildren(...answers(field.value).map((parts) => {
      const line = document.createElement("p");
      line.append(...parts);
      return line;
    }));
    if (!box) return;
    if (!index) {
      built ??= build().then(answer);
      return;
    }
    box.replaceChildren(...list(field.value));
    const count = box.children.length;
    if (count) status.append(`${count} section${count > 1 ? "s" : ""}, the best first`);
    else if (field.value.trim() && !status.firstChild) status.append("Nothing is found.");
  };
  field.addEventListener("input", answer);
  if (box && !field.value) field.value = new URLSearchParams(location.search).get("q") ?? "";
  answer();
}
