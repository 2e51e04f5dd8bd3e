//! Quantities against tables from the Kubernetes rules, and properties over generated ones.

use super::*;
use proptest::prelude::*;

#[test]
fn values_and_canonical_forms() {
    // text, value rounded up, milli rounded up, canonical
    let cases: &[(&str, i64, i64, &str)] = &[
        ("0", 0, 0, "0"),
        ("0n", 0, 0, "0"),
        ("-0", 0, 0, "0"),
        ("1", 1, 1000, "1"),
        ("+1", 1, 1000, "1"),
        ("-1", -1, -1000, "-1"),
        ("100m", 1, 100, "100m"),
        ("0.1", 1, 100, "100m"),
        (".5", 1, 500, "500m"),
        ("5.", 5, 5000, "5"),
        ("1.5", 2, 1500, "1500m"),
        ("1000m", 1, 1000, "1"),
        ("1500m", 2, 1500, "1500m"),
        ("0.0001", 1, 1, "100u"),
        ("1n", 1, 1, "1n"),
        ("0.1n", 1, 1, "1n"),
        ("-0.1n", -1, -1, "-1n"),
        ("1001n", 1, 1, "1001n"),
        ("1k", 1000, 1_000_000, "1k"),
        ("1000k", 1_000_000, 1_000_000_000, "1M"),
        ("128974848", 128_974_848, 128_974_848_000, "128974848"),
        ("129e6", 129_000_000, 129_000_000_000, "129e6"),
        ("129M", 129_000_000, 129_000_000_000, "129M"),
        ("128974848000m", 128_974_848, 128_974_848_000, "128974848"),
        ("123Mi", 128_974_848, 128_974_848_000, "123Mi"),
        ("1Ki", 1024, 1_024_000, "1Ki"),
        ("1024Mi", 1 << 30, 1_073_741_824_000, "1Gi"),
        ("1.5Gi", 1_610_612_736, 1_610_612_736_000, "1536Mi"),
        ("0.5Ki", 512, 512_000, "512"),
        ("0.1Ki", 103, 102_400, "102400m"),
        ("1e3", 1000, 1_000_000, "1e3"),
        ("1E3", 1000, 1_000_000, "1e3"),
        ("12e2", 1200, 1_200_000, "1200"),
        ("1e-3", 1, 1, "1e-3"),
        ("1E", 1_000_000_000_000_000_000, i64::MAX, "1E"),
        ("7Ei", 7 << 60, i64::MAX, "7Ei"),
        ("8Ei", i64::MAX, i64::MAX, "9223372036854775807"),
        ("1e999999999999", i64::MAX, i64::MAX, "9223372036854775807"),
        ("1e-999999999999", 1, 1, "1e-9"),
        ("00000000000000000000000000000000000000000001", 1, 1000, "1"),
        ("0.00000000000000000000000000000000000000000000001Ei", 1, 1, "1n"),
    ];
    for (text, value, milli, canonical) in cases {
        let quantity = parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(quantity.value(), *value, "{text}");
        assert_eq!(quantity.milli(), *milli, "{text}");
        assert_eq!(quantity.to_string(), *canonical, "{text}");
    }
}

#[test]
fn refusals() {
    use QuantityError::{Empty, Number, Suffix, TooLong};
    let long = "1".repeat(QUANTITY_LEN_MAX + 1);
    let cases: &[(&str, QuantityError)] = &[
        ("", Empty),
        (&long, TooLong),
        ("Ki", Number),
        (".", Number),
        ("-", Number),
        ("--1", Number),
        ("1.1.1", Number),
        (" 1", Number),
        ("1 ", Number),
        ("1 Gi", Number),
        ("1_000", Number),
        ("１", Number),
        ("1K", Suffix),
        ("1mi", Suffix),
        ("1GB", Suffix),
        ("1gb", Suffix),
        ("1e", Suffix),
        ("1e+", Suffix),
        ("1e3Mi", Suffix),
        ("1e1.5", Suffix),
    ];
    for (text, error) in cases {
        assert_eq!(parse(text), Err(*error), "{text:?}");
    }
}

proptest! {
    #[test]
    fn any_text_parses_or_not_but_never_panics(text in ".{0,70}") {
        let _ = parse(&text);
    }

    #[test]
    fn canonical_form_is_a_fixed_point_with_the_same_value(
        whole in 0u64..10_000_000, fraction in "[0-9]{0,12}", suffix in "(|n|u|m|k|M|G|Ki|Mi|Gi|Ti|e-?[0-9])",
    ) {
        let dot = if fraction.is_empty() { "" } else { "." };
        let quantity = parse(&format!("{whole}{dot}{fraction}{suffix}")).unwrap();
        let shown = quantity.to_string();
        let again = parse(&shown).unwrap();
        prop_assert_eq!(again.nano(), quantity.nano());
        // As in Kubernetes, 2.5Ki is 2560, in which nobody sees any more that it was binary: the next form is
        // the last one.
        let twice = again.to_string();
        let lost = suffix.ends_with('i') && shown.bytes().all(|byte| byte.is_ascii_digit());
        prop_assert!(lost || twice == shown, "{} became {}", shown, twice);
        prop_assert_eq!(parse(&twice).unwrap().to_string(), twice);
        prop_assert!(!shown.contains('.'));
    }

    #[test]
    fn suffixes_agree_with_plain_arithmetic(number in 0i64..1_000_000, power in 0u32..4) {
        let binary = ["", "Ki", "Mi", "Gi"][power as usize];
        let decimal = ["", "k", "M", "G"][power as usize];
        let (number_128, power_128) = (i128::from(number), power);
        prop_assert_eq!(parse(&format!("{number}{binary}")).unwrap().nano(), number_128 * 1024_i128.pow(power_128) * NANO);
        prop_assert_eq!(parse(&format!("{number}{decimal}")).unwrap().nano(), number_128 * 1000_i128.pow(power_128) * NANO);
        prop_assert_eq!(parse(&format!("{number}e{}", power * 3)).unwrap().nano(), number_128 * 1000_i128.pow(power_128) * NANO);
        prop_assert_eq!(i128::from(parse(&format!("{number}m")).unwrap().milli()), number_128);
    }

    #[test]
    fn rounding_goes_up_and_by_less_than_one(nano in 0u64..u64::MAX) {
        let quantity = parse(&format!("{nano}n")).unwrap();
        let (exact, unit) = (i128::from(nano), NANO);
        let value = i128::from(quantity.value()) * unit;
        prop_assert!(value >= exact && value - exact < unit);
        let milli = quantity.rounded_to_milli().nano();
        prop_assert!(milli >= exact && milli - exact < unit / 1000 && milli % (unit / 1000) == 0);
    }
}
