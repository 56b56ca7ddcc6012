/**
 * Numbers of JSON between bounds, as expressions over their digits.
 *
 * Whoever reads a number rounds it: 0.3 and 0.30000000000000000001 are one. Up to 15 digits no two are, and rounding keeps the order. So a
 * text of any length that is at most a bound is read as a number that is; that it is below the bound, or another number, holds up to 15
 * digits (`exact`).
 */
import type { Expression, ExpressionWriter } from "../syntax/expressions.js";
import { type Decimal, decimalOf, nextDouble } from "./decimals.js";

export interface NumberBounds {
  readonly min?: number;
  readonly max?: number;
  /** Whether the bound itself is not allowed. */
  readonly isExclusive?: boolean;
}

/** JSON.stringify writes more with an exponent. */
const mostDigits = 21;
const mostFraction = 25;
const exactDigits = 15;
/** For multiples: how many endings of numbers are tried. */
const mostEndings = 4;

export class Numbers {
  readonly #write: ExpressionWriter;
  readonly #digit: Expression;

  constructor(write: ExpressionWriter) {
    this.#write = write;
    this.#digit = this.#range(0, 9);
  }

  /** Any integer without an exponent. */
  get integer(): Expression {
    const { concat, either, optional, text } = bound(this.#write);
    return either([text("0"), concat([optional(text("-")), this.#natural])]);
  }

  /** Numbers without an exponent. */
  get decimal(): Expression {
    return this.#write.either([this.integer, this.#fractions]);
  }

  /** Any number that is finite, as JSON has it: with an exponent only one digit stands before the point. */
  get number(): Expression {
    const { bytes, concat, either, optional, text } = bound(this.#write);
    const e = bytes([
      [0x45, 0x45],
      [0x65, 0x65],
    ]);
    const few = this.#digits(1, 2);
    const hundreds = concat([this.#range(1, 2), this.#digits(2, 2)]);
    const most = either([few, hundreds, concat([text("30"), this.#range(0, 7)])]);
    const mantissa = concat([optional(text("-")), this.#range(1, 9), optional(this.#fraction(mostFraction))]);
    return either([
      this.decimal,
      concat([mantissa, e, either([concat([optional(text("+")), most]), concat([text("-"), most])])]),
    ]);
  }

  /** Numbers that no other is read as. */
  get exact(): Expression {
    const { both, concat, either, optional, repeat, text } = bound(this.#write);
    const short = concat([optional(text("-")), repeat(either([text("."), this.#digit]), 1, exactDigits + 1)]);
    return either([this.integer, both([this.#fractions, short])]);
  }

  /** Up to 15 digits. */
  get #few(): Expression {
    const { both, concat, either, optional, text } = bound(this.#write);
    const integers = concat([optional(text("-")), this.#digits(1, exactDigits)]);
    return either([integers, both([this.exact, this.#fractions])]);
  }

  /** Numbers that are no integers. */
  get fractional(): Expression {
    const { anything, both, complement, concat, text } = bound(this.#write);
    const zeros = concat([anything, text("."), this.#write.repeat(text("0"))]);
    return both([this.exact, this.#fractions, complement(zeros)]);
  }

  /** Numbers that are not this one; together with `exact`. */
  except(value: number): Expression {
    const { complement, concat, either, optional, repeat, text } = bound(this.#write);
    if (Math.abs(value) > Number.MAX_SAFE_INTEGER) return this.#few; // and that one has more digits
    const { isNegative, whole, fraction } = decimalOf(value);
    const sign = isNegative ? text("-") : value === 0 ? optional(text("-")) : this.#write.empty;
    const zeros = repeat(text("0"));
    const behind =
      fraction === ""
        ? either([this.#write.empty, concat([text("."), zeros])])
        : concat([text(`.${fraction}`), zeros]);
    return complement(concat([sign, text(whole), behind]));
  }

  /** All of these a number has to match. */
  between({ min, max, isExclusive = false }: NumberBounds): readonly Expression[] {
    const bounds = [
      ...(min === undefined ? [] : [{ value: min, side: "above" as const }]),
      ...(max === undefined ? [] : [{ value: max, side: "below" as const }]),
    ];
    return bounds.flatMap(({ value, side }) => {
      const write = side === "above" ? this.#atLeast.bind(this) : this.#atMost.bind(this);
      if (Math.abs(value) <= Number.MAX_SAFE_INTEGER)
        return [write(decimalOf(value), isExclusive), ...(isExclusive ? [this.exact] : [])];
      // It may have been rounded when the schema was read: the next double is certainly inside.
      const inside = nextDouble(value, side);
      if (Math.abs(inside) < 10 ** mostDigits) return [write(decimalOf(inside), false)];
      return inside > 0 === (side === "above") ? [this.#write.nothing] : [this.decimal];
    });
  }

  /** @param isInteger whether numbers are integers anyway @returns undefined for what is not supported: what divides neither 10,000 nor, with four decimals at most, 1 */
  multiples({ whole, fraction }: Decimal, isInteger: boolean): Expression | undefined {
    const { both, concat, either, optional, repeat, text } = bound(this.#write);
    const [of, decimals] = [BigInt(whole + fraction), fraction.length];
    if (of === 1n) return decimals === 0 ? this.integer : this.#upTo(decimals);
    let length = 1;
    while (length <= mostEndings && 10n ** BigInt(length) % of !== 0n) length++;
    if (length > mostEndings) return undefined;
    const endings = Array.from({ length: Number(10n ** BigInt(length) / of) }, (_, i) =>
      String(BigInt(i) * of),
    );
    const padded = endings.map((one) => one.padStart(length, "0"));
    const sign = optional(text("-"));
    if (decimals === 0) {
      const long = concat([this.#range(1, 9), repeat(this.#digit), either(padded.map((one) => text(one)))]);
      const short = endings.filter((one) => one !== "0").map((one) => text(one));
      return both([this.#few, either([text("0"), concat([sign, either([...short, long])])])]);
    }
    if (isInteger && length <= decimals) return this.integer;
    if (length > decimals || decimals > mostEndings) return undefined;
    const fractions = withHeads(padded, decimals - length).map((one) => text(`.${one}`));
    return both([this.#few, either([this.integer, concat([sign, this.#whole, either(fractions)])])]);
  }

  /** 0, or what does not begin with it. */
  get #whole(): Expression {
    return this.#write.either([this.#write.text("0"), this.#natural]);
  }

  /** From 1 on. */
  get #natural(): Expression {
    return this.#write.concat([this.#range(1, 9), this.#digits(0, mostDigits - 1)]);
  }

  get #fractions(): Expression {
    const { concat, optional, text } = bound(this.#write);
    return concat([optional(text("-")), this.#whole, this.#fraction(mostFraction)]);
  }

  /** Numbers of at most so many decimals. */
  #upTo(decimals: number): Expression {
    const { concat, either, optional, text } = bound(this.#write);
    const some = concat([optional(text("-")), this.#whole, this.#fraction(decimals)]);
    return either([this.integer, some]);
  }

  #fraction(most: number): Expression {
    return this.#write.concat([this.#write.text("."), this.#digits(1, most)]);
  }

  #digits(min: number, max: number): Expression {
    return this.#write.repeat(this.#digit, min, max);
  }

  #atLeast(of: Decimal, isExclusive: boolean): Expression {
    const { concat, either, text } = bound(this.#write);
    if (!of.isNegative)
      return either([this.#magnitude(of, "above", isExclusive), ...this.#zeros(of, isExclusive)]);
    return either([this.#unsigned, concat([text("-"), this.#magnitude(of, "below", isExclusive)])]);
  }

  #atMost(of: Decimal, isExclusive: boolean): Expression {
    const { concat, either, text } = bound(this.#write);
    const minus = (magnitude: Expression): Expression => concat([text("-"), magnitude]);
    if (of.isNegative) return minus(this.#magnitude(of, "above", isExclusive));
    // -0.0 is 0, which is not below it.
    const negative = isZero(of) && isExclusive ? this.#magnitude(of, "above", true) : this.#unsigned;
    return either([this.#magnitude(of, "below", isExclusive), minus(negative)]);
  }

  /** -0.0 is 0, and as large. */
  #zeros(of: Decimal, isExclusive: boolean): readonly Expression[] {
    const { concat, repeat, text } = bound(this.#write);
    return isZero(of) && !isExclusive ? [concat([text("-0."), repeat(text("0"), 1)])] : [];
  }

  get #unsigned(): Expression {
    const { concat, optional, repeat, text } = bound(this.#write);
    return concat([repeat(this.#digit, 1), optional(concat([text("."), repeat(this.#digit, 1)]))]);
  }

  /** Numbers without a sign on one side of a bound. */
  #magnitude({ whole, fraction }: Decimal, side: "above" | "below", isExclusive: boolean): Expression {
    const { concat, either, optional, repeat, text } = bound(this.#write);
    const anyFraction = optional(concat([text("."), repeat(this.#digit, 1)]));
    const beyond = concat([this.#wholeBeyond(whole, side), anyFraction]);
    const behind = this.#fractionBeyond(fraction, side, isExclusive);
    // Without a point the fraction is zeros.
    const mayEnd = fraction === "" ? !isExclusive : side === "below";
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
      const rest = this.#digits(whole.length - i - 1, whole.length - i - 1);
      alternatives.push(concat([text(whole.slice(0, i)), this.#range(from, to), rest]));
    }
    if (side === "above") alternatives.push(concat([this.#range(1, 9), repeat(this.#digit, whole.length)]));
    else if (whole.length > 1) {
      const shorter = concat([this.#range(1, 9), this.#digits(0, whole.length - 2)]);
      alternatives.push(either([text("0"), shorter]));
    }
    return either(alternatives);
  }

  /** Digits behind the point on one side of those of a bound, where the whole parts are equal. */
  #fractionBeyond(fraction: string, side: "above" | "below", isExclusive: boolean): Expression {
    const { concat, either, repeat, text } = bound(this.#write);
    const digits = repeat(this.#digit);
    const zeros = repeat(text("0"));
    const alternatives: Expression[] = [];
    for (let i = 0; i < fraction.length; i++) {
      const digit = Number(fraction[i]);
      const [from, to] = side === "above" ? [digit + 1, 9] : [0, digit - 1];
      const before = text(fraction.slice(0, i));
      if (from <= to) alternatives.push(concat([before, this.#range(from, to), digits]));
      if (side === "below") alternatives.push(before); // what ends here goes on with zeros
    }
    const whole = text(fraction);
    const more = concat([zeros, this.#range(1, 9), digits]);
    if (side === "above") alternatives.push(concat([whole, isExclusive ? more : digits]));
    else if (!isExclusive) alternatives.push(concat([whole, zeros]));
    return either(alternatives);
  }

  #range(from: number, to: number): Expression {
    return this.#write.bytes([[0x30 + from, 0x30 + to]]);
  }
}

const isZero = ({ whole, fraction }: Decimal): boolean => whole === "0" && fraction === "";

/** Digits behind a point that end in one of the endings, with so many before them; also those with fewer zeros at their end. */
function withHeads(endings: readonly string[], before: number): readonly string[] {
  const heads =
    before === 0 ? [""] : Array.from({ length: 10 ** before }, (_, i) => String(i).padStart(before, "0"));
  const whole = heads.flatMap((head) => endings.map((one) => head + one));
  const shorter = whole.flatMap((one) => {
    const zeros = /0*$/.exec(one)![0].length;
    return Array.from({ length: zeros }, (_, i) => one.slice(0, one.length - i - 1)).filter(Boolean);
  });
  return [...new Set([...whole, ...shorter])];
}

/** The writer's methods by themselves. */
function bound(write: ExpressionWriter) {
  return {
    anything: write.anything,
    both: write.both.bind(write),
    bytes: write.bytes.bind(write),
    complement: write.complement.bind(write),
    concat: write.concat.bind(write),
    either: write.either.bind(write),
    optional: write.optional.bind(write),
    repeat: write.repeat.bind(write),
    text: write.text.bind(write),
  };
}
