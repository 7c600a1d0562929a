//! Modules by layer: what is found, and what is allowed.

use super::*;

const ROOT: (&str, &str) = (
    "lib.rs",
    "mod low; mod mid; mod high;\npub use low::Low;\npub use high::High;",
);
const LOW: (&str, &str) = ("low.rs", "pub struct Low; pub fn low() {}");
const PART: (&str, &str) = ("mid/part.rs", "");
const HIGH: (&str, &str) = ("high.rs", "pub struct High;");

const LAYERS: &[Layer] = &[
    Layer(0, "low", ""),
    Layer(1, "mid::part", "low"),
    Layer(1, "mid", "low mid::part"),
    Layer(2, "high", "mid::part"),
];

/// The layers with one source for `mid.rs`.
fn layers_of(mid: &str) -> Vec<Violation> {
    rules::layers(&tree(&[ROOT, LOW, HIGH, PART, ("mid.rs", mid)]), LAYERS)
}

/// One use of `high` by line 2 of `mid.rs`.
#[track_caller]
fn assert_found(mid: &str) {
    assert_one(
        layers_of(mid),
        &[
            "src/mid.rs:2: uses ",
            "`high` is in layer 2; `mid`, in layer 1",
        ],
    );
}

#[test]
fn a_use_of_a_higher_module_is_found_however_it_is_written() {
    for source in [
        "\nuse crate::high::High;",
        "\nuse super::high::High;",
        "use crate::{\n    high::{self, High}, low::Low};",
        "\nuse crate::high::*;",
        "\npub use crate::high::High;",
        "\nfn f(x: &crate::high::High) {}",
        "fn f() {\nlet _ = crate::high::High; }",
        "fn f<T>() {}\nfn g() { f::<crate::high::High>() }",
        "mod inner {\n    use super::super::high::High; }",
        "fn f() { assert!(\ncrate::high::High == 1, \"{}\", 2) }",
        "pin_project! {\nstruct Mine { it: crate::high::High } }",
        "macro_rules! m {\n() => { $crate::high::High } }",
        "use crate::high;\nfn f() { high::High; }",
        "#[cfg(not(test))]\nuse crate::high::High;",
        "#[cfg(any(test, feature = \"x\"))]\nuse crate::high::High;",
    ] {
        assert_found(source);
    }
}

#[test]
fn a_name_that_the_root_exports_again_is_of_the_module_that_defines_it() {
    assert_none(layers_of("use crate::Low;"));
    assert_found("\nuse crate::{Low, High};");
    assert_found("\nfn f() { super::High; }");
}

#[test]
fn comments_literals_and_tests_are_not_uses() {
    assert_none(layers_of(
        r####"
        //! [`High`](crate::high::High)
        /* use crate::high::High; /* use crate::high::High; */ */
        use crate::low::{Low, low as other};
        const A: &str = "use crate::high::High;\" crate::high::High";
        const B: &str = r#"crate::high::High" crate::high::High"#;
        const C: [char; 3] = ['"', '\'', '\u{22}'];
        fn lifetime<'a>(x: &'a str) -> &'a str { x }
        fn elsewhere() { my_crate::high::High; other::crate_::high::High; ::high::High; }
        struct Mine;
        impl Mine {
            #[cfg(test)]
            fn high(&self) -> crate::high::High { crate::high::High }
        }
        #[cfg(test)]
        use crate::high::High;
        #[cfg(all(test, feature = "x"))]
        mod tests {
            use crate::high::High;
        }
        "####,
    ));
    assert_none(rules::layers(
        &tree(&[
            ROOT,
            LOW,
            HIGH,
            PART,
            ("mid/tests/mod.rs", "use crate::high::High;"),
        ]),
        LAYERS,
    ));
}

#[test]
fn a_part_of_a_module_may_be_allowed_without_the_rest() {
    let check = |high: &str| {
        let mid = "mod part; mod rest; pub use part::Part; pub use rest::Rest;";
        let part = ("mid/part.rs", "pub struct Part;");
        let rest = ("mid/rest.rs", "pub struct Rest; use super::part::Part;");
        let high = format!("pub struct High; {high}");
        let sources = [
            ROOT,
            LOW,
            ("mid/mod.rs", mid),
            part,
            rest,
            ("high.rs", &high),
        ];
        rules::layers(&tree(&sources), LAYERS)
    };
    assert_none(check("use crate::mid::Part;"));
    assert_none(check("use crate::mid::part::Part;"));
    assert_one(
        check("use crate::mid::{Part, Rest};"),
        &["src/mid/rest.rs", "only: mid::part"],
    );
}

#[test]
fn a_part_with_a_row_of_its_own_does_not_use_the_rest() {
    let mid = ("mid/mod.rs", "mod part; pub struct Mid;");
    let part = ("mid/part.rs", "use super::Mid;");
    let found = rules::layers(&tree(&[ROOT, LOW, HIGH, mid, part]), LAYERS);
    assert_one(
        found,
        &[
            "src/mid/part.rs:1",
            "`mid` is in layer 1; `mid::part`, in layer 1",
        ],
    );
}

#[test]
fn what_an_allowed_module_exports_again_is_allowed_too() {
    let check = |name: &str| {
        let mid = ("mid/mod.rs", "mod part;");
        let part = ("mid/part.rs", "pub use crate::low::Low;");
        let high = format!("use crate::{name};");
        rules::layers(&tree(&[ROOT, LOW, mid, part, ("high.rs", &high)]), LAYERS)
    };
    assert_none(check("mid::part::Low"));
    assert_one(check("low::Low"), &["src/high.rs:1", "`low` is in layer 0"]);
}

#[test]
fn a_module_has_one_row_and_a_row_has_its_modules() {
    let sources = [ROOT, LOW, HIGH, PART];
    assert_none(rules::layers(&tree(&sources), LAYERS));
    let with = |row| rules::layers(&tree(&sources), &[LAYERS, &[row]].concat());
    assert_one(with(Layer(3, "low", "")), &["`low` has more than one row"]);
    assert_one(with(Layer(3, "gone", "")), &["there is no module `gone`"]);
    let found = rules::layers(&tree(&[ROOT, LOW, HIGH, PART, ("novelty.rs", "")]), LAYERS);
    assert_one(found, &["src/novelty.rs", "no row in LAYERS"]);
}

#[test]
fn no_row_allows_a_circle() {
    let table = [Layer(0, "low", "mid"), Layer(0, "mid high", "low")];
    let found = rules::layers(&tree(&[ROOT, LOW, HIGH, PART]), &table);
    assert_one(found, &["`low` may use `mid`", "no row above"]);
}
