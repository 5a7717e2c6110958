// Arithmetic on real and complex numbers. A real number is a plain number, a complex one { re, im }.
//
// The complex step adds i · 1e-20 to one entry and divides the imaginary part of the loss by 1e-20:
// the derivative, exact to rounding, without a subtraction. Only the forward formulas are used.

const isReal = (x) => typeof x === "number";
const re = (x) => isReal(x) ? x : x.re;
const im = (x) => isReal(x) ? 0 : x.im;

const add = (x, y) => isReal(x) && isReal(y) ? x + y : { re: re(x) + re(y), im: im(x) + im(y) };

const negate = (x) => isReal(x) ? -x : { re: -x.re, im: -x.im };

const multiply = (x, y) => isReal(x) && isReal(y) ? x * y
  : { re: re(x) * re(y) - im(x) * im(y), im: re(x) * im(y) + im(x) * re(y) };

function divide(x, y) {
  if (isReal(y)) return isReal(x) ? x / y : { re: x.re / y, im: x.im / y };
  const size = y.re * y.re + y.im * y.im;
  return { re: (re(x) * y.re + im(x) * y.im) / size, im: (im(x) * y.re - re(x) * y.im) / size };
}

function exponential(x) {
  if (isReal(x)) return Math.exp(x);
  const size = Math.exp(x.re);
  return { re: size * Math.cos(x.im), im: size * Math.sin(x.im) };
}

function squareRoot(x) { // of a number with a positive real part
  if (isReal(x)) return Math.sqrt(x);
  const part = Math.sqrt((Math.hypot(x.re, x.im) + x.re) / 2);
  return { re: part, im: x.im / (2 * part) };
}
