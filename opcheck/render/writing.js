// Writes lines of a calculation: as formulas that a browser draws, and as words that a screen reader says.
// A line is a number that was computed. Everything that is shown comes from the page's data: nothing is computed here.
"use strict";

const [ADDITIVE, MULTIPLICATIVE, POWER, ATOM] = [0, 1, 3, 4]; // how tightly an expression binds
const SUMS = ["sum", "sub"];
const FENCES = { floor: "⌊⌋", ceil: "⌈⌉", abs: "||" };

// The lines of the page, by their places.
function calculation(data) {
  const rounded = new Set(data.rounded);
  const lines = data.lines.map(([op, value, ...args], id) => {
    const [name, at] = data.named[id] ?? [];
    return {
      id, op: data.ops[op], args, text: data.texts[value], rounded: rounded.has(value), at,
      name: name === undefined ? undefined : data.names[name], array: name, partial: data.partial[id], users: [],
    };
  });
  for (const { id, args } of lines) for (const arg of args) if (lines[arg].users.at(-1) !== id) lines[arg].users.push(id);
  return { lines, focus: data.focus, texts: data.texts, words: data.words, functions: data.functions, accents: data.accents };
}

// --- notations: the same expression as MathML, and in words ---------------------------------------------------------

const SPACE = "http://www.w3.org/1998/Math/MathML";

function element(tag, ...parts) {
  const made = document.createElementNS(SPACE, tag);
  made.append(...parts.flat());
  return made;
}

class Formulas {
  constructor(of) {
    this.of = of;
    this.groups = true; // what stands above a bar, or raised, needs no parentheses
  }

  number(text) {
    if (text.startsWith("−")) return [this.operator("−", "prefix"), ...this.number(text.slice(1))];
    if (text.includes("/")) return [element("mfrac", ...text.split("/").map((part) => element("mn", part)))];
    const [mantissa, power] = text.split("e");
    if (power === undefined) return [element("mn", mantissa)];
    const exponent = power.replace(/^(−?)0+(?=.)/, "$1");
    return [element("mn", mantissa), this.operator("×"), element("msup", element("mn", "10"), element("mn", exponent))];
  }

  name(line) {
    let base = element("mi", line.name.base);
    for (const accent of line.name.marks) {
      base = element("mover", base, element("mo", this.of.accents[accent]));
      base.setAttribute("accent", "true");
      if (accent === "bar") base.setAttribute("class", "bar");
    }
    const below = [];
    if (line.name.below) below.push(element("mi", line.name.below));
    if (line.name.below && line.at) below.push(element("mo", ";"));
    if (line.at) below.push(element("mn", line.at));
    if (line.name.primes) { // beside the letter: the sign is a raised one already
      const primes = element("mo", "′".repeat(line.name.primes));
      for (const side of ["lspace", "rspace"]) primes.setAttribute(side, "0");
      base = element("mrow", base, primes);
    }
    return [below.length ? element("msub", base, element("mrow", below)) : base];
  }

  operator(sign, form = "infix") {
    const made = element("mo", sign);
    made.setAttribute("form", form);
    return made;
  }

  negated(inside) { return [this.operator("−", "prefix"), ...inside]; }
  fenced(inside, left = "(", right = ")") {
    return [element("mrow", this.operator(left, "prefix"), inside, this.operator(right, "postfix"))];
  }
  infix(parts, sign) {
    const shown = { plus: "+", minus: "−", times: "·", less: "<" }[sign];
    return parts.flatMap((part, k) => (k ? [this.operator(shown), ...part] : part));
  }
  sum(terms) {
    return terms.flatMap(([sign, term], k) => {
      if (k === 0) return sign === "minus" ? this.negated(term) : term;
      return [this.operator(sign === "minus" ? "−" : "+"), ...term];
    });
  }
  over(above, below) { return [element("mfrac", element("mrow", above), element("mrow", below))]; }
  power(base, exponent) { return [element("msup", element("mrow", base), element("mrow", exponent))]; }
  root(inside) { return [element("msqrt", inside)]; }
  call(name, args) {
    const inside = args.flatMap((arg, k) => (k ? [this.operator(","), ...arg] : arg));
    return [element("mi", name), ...this.fenced(inside)];
  }
}

class Words {
  constructor(of) { this.of = of; }

  number(text) {
    const [mantissa, power] = text.split("e").map((part) => part.replace("−", `${this.of.words.minus} `));
    return power === undefined ? mantissa : this.power(this.infix([mantissa, "10"], "times"), power.replace(/\b0+(?=.)/, ""));
  }
  name(line) { return line.at ? `${line.name.said}[${line.at}]` : line.name.said; }
  negated(inside) { return `${this.of.words.minus} ${inside}`; }
  fenced(inside, left = "(", right = ")") { return `${left}${inside}${right}`; }
  infix(parts, sign) { return parts.join(` ${this.of.words[sign]} `); }
  sum(terms) {
    return terms.map(([sign, term], k) => (k || sign === "minus" ? `${this.of.words[sign]} ${term}` : term)).join(" ");
  }
  over(above, below) { return this.infix([above, below], "over"); }
  power(base, exponent) { return this.infix([base, exponent], "to"); }
  root(inside) { return this.call("sqrt", [inside]); }
  call(name, args) { return `${name === "σ" ? "sigma" : name}(${args.join(", ")})`; }
}

// --- expressions ----------------------------------------------------------------------------------------------------

class Writer {
  // inNames: x[0,1]·w[0,0]; else in numbers, 2·1
  constructor(of, notation, inNames) { Object.assign(this, { of, notation, inNames }); }

  // Whether a line stands in a formula as one thing: what has a name is explained where it stands.
  isAtom(line) { return line.args.length === 0 || line.name !== undefined; }

  atom(line) {
    if (this.inNames && line.name !== undefined) return [this.notation.name(line), ATOM];
    const negative = line.text.startsWith("−");
    const level = negative ? ADDITIVE : /[/e]/.test(line.text) ? MULTIPLICATIVE : ATOM;
    return [this.notation.number(line.text), level];
  }

  // A line inside of a formula, in parentheses where what is around it binds tighter.
  inside(id, around = ADDITIVE, first = false) {
    const line = this.of.lines[id];
    if (line.op === "detach" && line.name === undefined) return this.inside(line.args[0], around, first);
    const [made, level] = this.isAtom(line) ? this.atom(line) : this.operation(line);
    return level < around && !(first && level === ADDITIVE && this.isAtom(line)) ? this.notation.fenced(made) : made;
  }

  // What a line was made of.
  operation(line) {
    const { op, args } = line;
    const { notation } = this;
    if (op === "same" || op === "detach") return [this.inside(args[0]), ADDITIVE];
    if (SUMS.includes(op)) return [this.sum(this.terms(line)), ADDITIVE];
    if (op === "mul") {
      return [notation.infix(args.map((arg, k) => this.inside(arg, MULTIPLICATIVE, k === 0)), "times"), MULTIPLICATIVE];
    }
    if (op === "neg") return [notation.negated(this.inside(args[0], MULTIPLICATIVE)), ADDITIVE];
    if (op === "div") {
      const [above, below, whole] = notation.groups ? [ADDITIVE, ADDITIVE, POWER] : [MULTIPLICATIVE, POWER, MULTIPLICATIVE];
      return [notation.over(this.inside(args[0], above), this.inside(args[1], below)), whole];
    }
    if (op === "power") {
      return [notation.power(this.inside(args[0], ATOM), this.inside(args[1], notation.groups ? ADDITIVE : ATOM)), POWER];
    }
    if (op === "less") return [notation.infix(args.map((arg) => this.inside(arg)), "less"), ADDITIVE];
    if (op === "sqrt") return [notation.root(this.inside(args[0])), ATOM];
    if (op in FENCES) return [notation.fenced(this.inside(args[0]), ...FENCES[op]), ATOM];
    if (op === "expm1") {
      return [notation.sum([["plus", notation.call("exp", [this.inside(args[0])])], ["minus", notation.number("1")]]), ADDITIVE];
    }
    return [notation.call(this.of.functions[op] ?? op.replace("_slope", "′"), args.map((arg) => this.inside(arg))), ATOM];
  }

  // The terms of a sum with their signs; one if it is no sum.
  terms(line) {
    if (!SUMS.includes(line.op)) return [["plus", line.id]];
    return line.args.flatMap((arg, k) => {
      const inner = this.of.lines[arg];
      if (k === 0 && !this.isAtom(inner) && SUMS.includes(inner.op)) return this.terms(inner);
      return [[line.op === "sub" && k === 1 ? "minus" : "plus", arg]];
    });
  }

  sum(terms) {
    return this.notation.sum(terms.map(([sign, id], k) => [sign, this.term(id, k > 0)]));
  }

  term(id, behind) {
    const line = this.of.lines[id];
    const sums = !this.isAtom(line) && SUMS.includes(line.op);
    return this.inside(id, behind || sums ? MULTIPLICATIVE : ADDITIVE);
  }
}
