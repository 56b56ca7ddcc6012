/** Numbers of JSON between bounds, as expressions over their digits. */
import type { Expression, ExpressionWriter } from "../syntax/expressions.js";

/** A bound as decimal digits: of -12.5 { isNegative, whole: "12", fraction: "5" }. */
interface Decimal {
  readonly isNegative: boolean;
  readonly whole: string;
  readonly fraction: string;
}

export interface NumberBounds {
  /** The least and the largest that are allowed; exclusive: the next ones. */
  readonly min?: number | undefined;
  readonly max?: number | undefined;
  readonly isMinExclusive?: boolean;
  readonly isMaxExclusive?: boolean;
}

export class Numbers {
  readonly #write: ExpressionWriter;
  readonly #digit: Expression;
  readonly #digits: Expression;

  constructor(write: ExpressionWriter) {
    this.#write = write;
    this.#digit = this.#range(0, 9);
    this.#digits = write.repeat(this.#digit);
  }

  /** Without a sign: 0, or what does not begin with it. */
  get #whole(): Expression {
    const { concat, either, text } = bound(this.#write);
    return either([text("0"), concat([this.#range(1, 9), this.#digits])]);
  }

  /** Any integer, as JSON.stringify writes those that are safe. */
  get integer(): Expression {
    const { concat, optional, text } = bound(this.#write);
    return concat([optional(text("-")), this.#whole]);
  }

  /** Any number, as JSON has it. */
  get number(): Expression {
    const { bytes, concat, either, optional, repeat, text } = bound(this.#write);
    const fraction = concat([text("."), repeat(this.#digit, 1)]);
    const sign = optional(either([text("+"), text("-")]));
    const e = bytes([
      [0x45, 0x45],
      [0x65, 0x65],
    ]);
    return concat([this.integer, optional(fraction), optional(concat([e, sign, repeat(this.#digit, 1)]))]);
  }

  /** Numbers without an exponent of at most so many digits behind the point. */
  decimals(most: number): Expression {
    const { concat, optional, repeat, text } = bound(this.#write);
    if (most === 0) return this.integer;
    return concat([this.integer, optional(concat([text("."), repeat(this.#digit, 1, most)]))]);
  }

  /** Numbers without an exponent that lie between bounds. */
  between({ min, max, isMinExclusive = false, isMaxExclusive = false }: NumberBounds): Expression {
    const parts = [this.decimals(Infinity)];
    if (min !== undefined) parts.push(this.#atLeast(decimalOf(min), isMinExclusive));
    if (max !== undefined) parts.push(this.#atMost(decimalOf(max), isMaxExclusive));
    return this.#write.both(parts);
  }

  #atLeast(bound_: Decimal, isExclusive: boolean): Expression {
    const { concat, either, text } = bound(this.#write);
    const { isNegative } = bound_;
    if (!isNegative) return this.#magnitude(bound_, "above", isExclusive);
    const negative = concat([text("-"), this.#magnitude(bound_, "below", isExclusive)]);
    return either([this.#unsigned, negative]);
  }

  #atMost(bound_: Decimal, isExclusive: boolean): Expression {
    const { concat, either, text } = bound(this.#write);
    const minus = (of: Expression): Expression => concat([text("-"), of]);
    if (bound_.isNegative) return minus(this.#magnitude(bound_, "above", isExclusive));
    const isZero = /^0*$/.test(bound_.whole + bound_.fraction);
    // -0 is 0, which is not below it.
    const negative = isZero && isExclusive ? this.#magnitude(bound_, "above", true) : this.#unsigned;
    return either([this.#magnitude(bound_, "below", isExclusive), minus(negative)]);
  }

  get #unsigned(): Expression {
    const { concat, optional, repeat, text } = bound(this.#write);
    return concat([this.#whole, optional(concat([text("."), repeat(this.#digit, 1)]))]);
  }

  /** Numbers without a sign on one side of a bound. */
  #magnitude({ whole, fraction }: Decimal, side: "above" | "below", isExclusive: boolean): Expression {
    const { concat, either, optional, repeat, text } = bound(this.#write);
    const anyFraction = optional(concat([text("."), repeat(this.#digit, 1)]));
    const beyond = concat([this.#wholeBeyond(whole, side), anyFraction]);
    const behind = this.#fraction(fraction, side, isExclusive);
    const zeros = /^0*$/.test(fraction);
    // Without a point the fraction is zeros.
    const mayEnd = zeros ? !isExclusive : side === "below";
    const tail = concat([text("."), this.#write.both([repeat(this.#digit, 1), behind])]);
    return either([beyond, concat([text(whole), mayEnd ? optional(tail) : tail])]);
  }

  /** Whole parts that are larger or smaller. */
  #wholeBeyond(whole: string, side: "above" | "below"): Expression {
    const { concat, either, repeat, text } = bound(this.#write);
    const alternatives: Expression[] = [];
    for (let i = 0; i < whole.length; i++) {
      const digit = Number(whole[i]);
      const least = i === 0 && whole.length > 1 ? 1 : 0;
      const [from, to] = side === "above" ? [digit + 1, 9] : [least, digit - 1];
      if (from > to) continue;
      const rest = repeat(this.#digit, whole.length - i - 1, whole.length - i - 1);
      alternatives.push(concat([text(whole.slice(0, i)), this.#range(from, to), rest]));
    }
    if (side === "above") alternatives.push(concat([this.#range(1, 9), repeat(this.#digit, whole.length)]));
    else if (whole.length > 1) {
      const shorter = concat([this.#range(1, 9), repeat(this.#digit, 0, whole.length - 2)]);
      alternatives.push(either([text("0"), shorter]));
    }
    return either(alternatives);
  }

  /** Digits behind the point on one side of those of a bound, where the whole parts are equal. */
  #fraction(fraction: string, side: "above" | "below", isExclusive: boolean): Expression {
    const { concat, either, repeat, text } = bound(this.#write);
    const zeros = repeat(text("0"));
    const more = concat([zeros, this.#range(1, 9), this.#digits]); // than what is there so far
    const alternatives: Expression[] = [];
    for (let i = 0; i < fraction.length; i++) {
      const digit = Number(fraction[i]);
      const [from, to] = side === "above" ? [digit + 1, 9] : [0, digit - 1];
      const before = text(fraction.slice(0, i));
      if (from <= to) alternatives.push(concat([before, this.#range(from, to), this.#digits]));
      // What ends here goes on with zeros.
      const rest = fraction.slice(i);
      if (side === "below" && /[1-9]/.test(rest)) alternatives.push(before);
      else if (!isExclusive && !/[1-9]/.test(rest)) alternatives.push(before);
    }
    const whole = text(fraction);
    if (side === "above") alternatives.push(concat([whole, isExclusive ? more : this.#digits]));
    else if (!isExclusive) alternatives.push(concat([whole, zeros]));
    return either(alternatives);
  }

  #range(from: number, to: number): Expression {
    return this.#write.bytes([[0x30 + from, 0x30 + to]]);
  }
}

/** @param value finite */
function decimalOf(value: number): Decimal {
  const [, sign = "", digits = "", behind = "", exponent = "0"] =
    /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(value))!;
  const point = digits.length + Number(exponent);
  const all = digits + behind;
  const whole = point <= 0 ? "0" : all.slice(0, point).padEnd(point, "0");
  const fraction = point <= 0 ? "0".repeat(-point) + all : all.slice(point);
  return { isNegative: sign === "-", whole: whole.replace(/^0+(?=\d)/, ""), fraction };
}

/** The writer's methods by themselves. */
function bound(write: ExpressionWriter) {
  return {
    bytes: write.bytes.bind(write),
    concat: write.concat.bind(write),
    either: write.either.bind(write),
    optional: write.optional.bind(write),
    repeat: write.repeat.bind(write),
    text: write.text.bind(write),
  };
}
