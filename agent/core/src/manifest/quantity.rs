//! Kubernetes quantities (`100m`, `1.5Gi`, `1e3`): parsing, rounding up and the canonical form. Exact
//! integers throughout, never a float.

use super::limits::QUANTITY_LEN_MAX;
use std::fmt;

/// How a quantity was written, which decides how it is shown again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Notation {
    /// `n u m k M G T P E`.
    DecimalSi,
    /// `Ki Mi Gi Ti Pi Ei`.
    BinarySi,
    /// `1e3`.
    DecimalExponent,
}

/// An exact number of billionths between −(2⁶³−1) and 2⁶³−1. A finer value is rounded away from zero ("if you
/// want some, you get some"), a larger one is cut to the end of the range, both as Kubernetes does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quantity {
    nano: i128,
    notation: Notation,
}

/// Why a text is no quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuantityError {
    /// Nothing there.
    Empty,
    /// More than `QUANTITY_LEN_MAX` characters.
    TooLong,
    /// No digits, or something that is no number before the suffix.
    Number,
    /// A suffix that Kubernetes does not know.
    Suffix,
}

/// Billionths in one.
const NANO: i128 = 1_000_000_000;
/// The largest quantity, in billionths.
const NANO_MAX: i128 = i64::MAX as i128 * NANO;

impl fmt::Display for QuantityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a quantity must not be empty"),
            Self::TooLong => write!(f, "a quantity has at most {QUANTITY_LEN_MAX} characters"),
            Self::Number => f.write_str("a quantity is a number like 2, 0.5 or 1e3 with an optional suffix"),
            Self::Suffix => {
                f.write_str("unknown suffix; there are n, u, m, k, M, G, T, P, E and Ki, Mi, Gi, Ti, Pi, Ei")
            }
        }
    }
}

impl std::error::Error for QuantityError {}

impl Quantity {
    /// Billionths, exactly.
    pub const fn nano(self) -> i128 {
        self.nano
    }

    /// Thousandths, rounded up (away from zero), as `cpu` is counted.
    pub fn milli(self) -> i64 {
        round_up(self.nano, NANO / 1000)
    }

    /// Whole units, rounded up (away from zero), as bytes are counted.
    pub fn value(self) -> i64 {
        round_up(self.nano, NANO)
    }

    /// Below zero.
    pub const fn is_negative(self) -> bool {
        self.nano < 0
    }

    /// Above zero.
    pub const fn is_positive(self) -> bool {
        self.nano > 0
    }

    /// The same, rounded up to whole thousandths: Kubernetes keeps no finer resource amounts.
    #[must_use]
    pub fn rounded_to_milli(self) -> Self {
        const MICRO: i128 = NANO / 1000;
        let rest = self.nano % MICRO;
        let up = if rest == 0 { 0 } else { MICRO * self.nano.signum() };
        Self { nano: self.nano - rest + up, ..self }
    }
}

/// `nano / unit` away from zero, cut to the range of `i64`.
fn round_up(nano: i128, unit: i128) -> i64 {
    let (whole, rest) = (nano / unit, nano % unit);
    let whole = if rest == 0 { whole } else { whole + nano.signum() };
    i64::try_from(whole).unwrap_or(if nano < 0 { i64::MIN } else { i64::MAX })
}

/// What a suffix multiplies by: `10^decimal * 2^binary`.
struct Scale {
    decimal: i32,
    binary: u32,
    notation: Notation,
}

/// Parses a quantity as `resource.ParseQuantity` does.
///
/// # Errors
/// Says what is wrong with the text.
pub fn parse(text: &str) -> Result<Quantity, QuantityError> {
    if text.is_empty() {
        return Err(QuantityError::Empty);
    }
    if text.len() > QUANTITY_LEN_MAX {
        return Err(QuantityError::TooLong);
    }
    let (negative, rest) = match text.as_bytes()[0] {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (whole, rest) = split_digits(rest);
    let (fraction, suffix) = rest.strip_prefix('.').map_or(("", rest), split_digits);
    if whole.is_empty() && fraction.is_empty() {
        return Err(QuantityError::Number);
    }
    let scale = scale_of(suffix)?;
    let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|digit| digit - b'0').collect();
    multiply(&mut digits, 1 << scale.binary);
    // At most 64, so this cannot wrap.
    let fraction_len = i32::try_from(fraction.len()).unwrap_or(i32::MAX);
    let nano = shift(&digits, scale.decimal.saturating_add(9 - fraction_len)).min(NANO_MAX);
    let small = scale.notation == Notation::BinarySi && nano < NANO;
    let notation = if small { Notation::DecimalSi } else { scale.notation };
    Ok(Quantity { nano: if negative { -nano } else { nano }, notation })
}

/// The leading decimal digits, and what follows.
fn split_digits(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

/// What the suffix stands for.
fn scale_of(suffix: &str) -> Result<Scale, QuantityError> {
    let decimal = |decimal| Ok(Scale { decimal, binary: 0, notation: Notation::DecimalSi });
    let binary = |binary| Ok(Scale { decimal: 0, binary, notation: Notation::BinarySi });
    match suffix {
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "" => decimal(0),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(10),
        "Mi" => binary(20),
        "Gi" => binary(30),
        "Ti" => binary(40),
        "Pi" => binary(50),
        "Ei" => binary(60),
        _ => exponent_of(suffix),
    }
}

/// `e3`, `E-6`: an exponent of ten.
fn exponent_of(suffix: &str) -> Result<Scale, QuantityError> {
    let digits = match suffix.strip_prefix(['e', 'E']) {
        Some(digits) => digits,
        None if suffix.starts_with(|c: char| c.is_ascii_alphabetic()) => return Err(QuantityError::Suffix),
        None => return Err(QuantityError::Number),
    };
    let unsigned = digits.strip_prefix(['+', '-']).unwrap_or(digits);
    if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(QuantityError::Suffix);
    }
    // Past this every quantity is at an end of the range, so the exact value does not matter.
    let end = if digits.starts_with('-') { -1000 } else { 1000 };
    let decimal = digits.parse::<i32>().unwrap_or(end).clamp(-1000, 1000);
    Ok(Scale { decimal, binary: 0, notation: Notation::DecimalExponent })
}

/// Long multiplication of a decimal number, most significant digit first.
fn multiply(digits: &mut Vec<u8>, factor: u64) {
    let mut carry: u128 = 0;
    for digit in digits.iter_mut().rev() {
        let product = u128::from(*digit) * u128::from(factor) + carry;
        *digit = (product % 10) as u8;
        carry = product / 10;
    }
    while carry > 0 {
        digits.insert(0, (carry % 10) as u8);
        carry /= 10;
    }
}

/// `digits * 10^places`, rounded up, saturating far above `NANO_MAX`.
fn shift(digits: &[u8], places: i32) -> i128 {
    let cut = usize::try_from(-i64::from(places)).unwrap_or(0).min(digits.len());
    let (kept, dropped) = digits.split_at(digits.len() - cut);
    let push = |value: i128, digit: u8| value.saturating_mul(10).saturating_add(i128::from(digit));
    let mut value = kept.iter().fold(0_i128, |value, digit| push(value, *digit));
    for _ in 0..places.max(0) {
        value = push(value, 0);
    }
    if dropped.iter().any(|digit| *digit != 0) { value.saturating_add(1) } else { value }
}

/// All of them together, in the notation of the first; what is no quantity counts for nothing.
pub fn sum<'a>(texts: impl Iterator<Item = &'a String>) -> Quantity {
    let all = texts.filter_map(|text| parse(text).ok());
    all.reduce(|sum, next| Quantity { nano: sum.nano.saturating_add(next.nano), ..sum })
        .unwrap_or(Quantity { nano: 0, notation: Notation::DecimalSi })
}

impl fmt::Display for Quantity {
    /// The canonical form: no fraction, the largest suffix that leaves an integer, in the notation in
    /// which it was written where that is exact.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nano == 0 {
            return f.write_str("0");
        }
        let whole = self.nano / NANO;
        let binary = self.notation == Notation::BinarySi && self.nano % NANO == 0 && whole.abs() >= 1024;
        if binary {
            let mut number = whole;
            let mut suffixes = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].iter();
            let mut suffix = "";
            while number % 1024 == 0
                && let Some(next) = suffixes.next()
            {
                (number, suffix) = (number / 1024, next);
            }
            return write!(f, "{number}{suffix}");
        }
        let mut number = self.nano;
        let mut exponent = -9;
        while number % 1000 == 0 && exponent < 18 {
            (number, exponent) = (number / 1000, exponent + 3);
        }
        match (self.notation, exponent) {
            (_, 0) => write!(f, "{number}"),
            (Notation::DecimalExponent, _) => write!(f, "{number}e{exponent}"),
            _ => {
                const SUFFIXES: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
                let at = usize::try_from((exponent + 9) / 3).unwrap_or(0);
                write!(f, "{number}{}", SUFFIXES.get(at).unwrap_or(&""))
            }
        }
    }
}

#[cfg(test)]
#[path = "quantity_tests.rs"]
mod tests;
