//! Violations planted in small sources: each rule finds its own, and names file
//! and line; what is allowed passes.

use std::collections::HashSet;

use super::rules::{self, Exception, Floors, Foreign, Home, Layer, Violation};
use super::tree::Tree;

/// A source is its path and its text. All names that it uses must exist.
fn tree(sources: &[(&str, &str)]) -> Tree {
    let tree = Tree::new(sources);
    assert_none(rules::resolved(&tree));
    tree
}

#[track_caller]
fn assert_none(found: Vec<Violation>) {
    assert!(found.is_empty(), "{found:#?}");
}

/// One violation, whose text contains all `parts`.
#[track_caller]
fn assert_one(found: Vec<Violation>, parts: &[&str]) {
    assert_eq!(found.len(), 1, "{found:#?}");
    for part in parts {
        assert!(
            found[0].text.contains(part),
            "no `{part}` in: {}",
            found[0].text
        );
    }
}

mod layers;

mod floors {
    use super::*;

    const TABLE: &[Floors] = &[Floors("a", &["one", "two also_two"])];

    const ROOT: (&str, &str) = ("lib.rs", "mod a;");

    fn check(one: &str, two: &str, also_two: &str) -> Vec<Violation> {
        let facade = "mod one; mod two; mod also_two;\npub use one::One; pub use two::Two;";
        let sources = [
            ROOT,
            ("a/mod.rs", facade),
            ("a/one.rs", &[one, "pub struct One;"].concat()),
            ("a/two.rs", &[two, "pub struct Two;"].concat()),
            ("a/also_two.rs", also_two),
        ];
        rules::floors(&tree(&sources), TABLE)
    }

    #[test]
    fn a_file_uses_lower_floors_only() {
        assert_none(check("", "use super::one::One;", "use crate::a::One;"));
        let parts = [
            "src/a/one.rs:1: uses `super::two::Two`",
            "floor 0",
            "`two` on 1",
        ];
        assert_one(check("use super::two::Two;", "", ""), &parts);
    }

    #[test]
    fn a_facade_hides_no_use() {
        let parts = ["src/a/one.rs:1: uses `crate::a::Two` of src/a/two.rs"];
        assert_one(check("use crate::a::Two;", "", ""), &parts);
    }

    #[test]
    fn files_of_one_floor_do_not_use_each_other() {
        let parts = ["src/a/also_two.rs:1", "floor 1", "`two` on 1"];
        assert_one(check("", "", "use super::two::Two;"), &parts);
    }

    #[test]
    fn a_folder_is_one_entry() {
        let also = ("a/also_two/deep.rs", "use crate::a::one::One;");
        let facade = ("a/mod.rs", "mod one; mod two; mod also_two;");
        let (one, two) = (
            ("a/one/mod.rs", "pub struct One;"),
            ("a/two.rs", "pub struct Two;"),
        );
        assert_none(rules::floors(&tree(&[ROOT, facade, one, two, also]), TABLE));
        let one = ("a/one/mod.rs", "pub struct One; use super::two::Two;");
        assert_one(
            rules::floors(&tree(&[ROOT, facade, one, two, also]), TABLE),
            &["src/a/one/mod.rs:1"],
        );
    }

    #[test]
    fn the_table_and_the_folder_agree() {
        let (one, two) = (("a/one.rs", ""), ("a/two.rs", ""));
        let found = rules::floors(&tree(&[ROOT, one, two]), TABLE);
        assert_one(found, &["src/a has no `also_two`"]);
        let (also, other) = (("a/also_two.rs", ""), ("a/other.rs", ""));
        let found = rules::floors(&tree(&[ROOT, one, two, also, other]), TABLE);
        assert_one(found, &["`other` has no floor"]);
    }

    #[test]
    fn a_facade_holds_no_code() {
        let check = |code: &str, table| {
            let docs = "//! Docs.\nmod one;\npub use one;\n#[cfg(test)]\nmod t { }\n";
            let facade = [docs, code].concat();
            rules::facades(
                &tree(&[ROOT, ("a/mod.rs", &facade), ("a/one.rs", "")]),
                table,
            )
        };
        assert_none(check("", TABLE));
        let code = [
            "fn f() {}",
            "mod x { }",
            "const C: u8 = 1;",
            "m! { x }",
            "impl u8 {}",
        ];
        for code in code {
            assert_one(check(code, TABLE), &["src/a/mod.rs:6: defines"]);
            assert_none(check(code, &[Floors("a", &["one", "mod"])]));
        }
    }

    #[test]
    fn a_mod_file_with_a_floor_holds_code_and_keeps_the_order() {
        let table = [Floors("a", &["one", "mod", "two"])];
        let check = |facade, two| {
            let one = ("a/one.rs", "pub struct One;");
            rules::floors(
                &tree(&[ROOT, one, ("a/two.rs", two), ("a/mod.rs", facade)]),
                &table,
            )
        };
        assert_none(check(
            "mod one; mod two; pub struct A(one::One);",
            "use super::A;",
        ));
        assert_one(
            check(
                "mod one; mod two; pub struct A(two::Two);",
                "pub struct Two;",
            ),
            &["src/a/mod.rs:1: uses `two::Two`"],
        );
    }
}

mod circles {
    use super::*;

    #[test]
    fn a_circle_is_shown_whole_with_a_way_around() {
        let root = ("lib.rs", "mod a; mod b; mod c; mod d;");
        let a = ("a.rs", "pub struct A;\nuse crate::b::B;");
        let b = ("b.rs", "pub struct B;\n\nuse super::c::C;");
        let d = ("d.rs", "use crate::a::A;");
        let c = ("c.rs", "pub struct C;");
        assert_none(rules::circles(&tree(&[root, a, b, c, d])));
        let c = ("c.rs", "pub struct C;\nfn f() { crate::a::A; }");
        assert_one(
            rules::circles(&tree(&[root, a, b, c, d])),
            &[
                "3 files",
                "src/a.rs, src/b.rs, src/c.rs; one way",
                "src/a.rs:2: uses `crate::b::B` of src/b.rs",
                "src/b.rs:3: uses `super::c::C` of src/c.rs",
                "src/c.rs:2: uses `crate::a::A` of src/a.rs",
            ],
        );
    }

    #[test]
    fn two_circles_are_two_violations() {
        let root = ("lib.rs", "");
        let (a, b) = (
            ("a.rs", "pub struct A; use crate::b::B;"),
            ("b.rs", "pub struct B; use crate::a::A;"),
        );
        let (c, d) = (
            ("c.rs", "pub struct C; use crate::d::D;"),
            ("d.rs", "pub struct D; use crate::c::C; use crate::a::A;"),
        );
        assert_eq!(rules::circles(&tree(&[root, a, b, c, d])).len(), 2);
    }

    #[test]
    fn what_a_module_only_exports_it_does_not_use() {
        let check = |code: &str| {
            let module = ["mod one; mod two; pub(crate) use one::One; ", code].concat();
            let one = ("a/one.rs", "use super::Two; pub struct One;");
            let two = ("a/two.rs", "use super::One;");
            rules::circles(&tree(&[ROOT, ("a/mod.rs", &module), one, two]))
        };
        const ROOT: (&str, &str) = ("lib.rs", "mod a;");
        assert_none(check("pub struct Two;"));
        assert_one(
            check("pub struct Two(One);"),
            &["src/a/mod.rs, src/a/one.rs"],
        );
        assert_one(
            check("pub struct Two; fn f() { m!(One) }"),
            &["src/a/mod.rs, src/a/one.rs"],
        );
    }
}

mod homes {
    use super::*;

    const TABLE: &[Home] = &[Home("a::Wide", "a/")];

    fn check(other: &str) -> Vec<Violation> {
        let a = (
            "a/mod.rs",
            "pub struct Wide; pub struct Narrow; impl Wide {} impl Narrow {}",
        );
        rules::homes(
            &tree(&[("lib.rs", "mod a; mod b;"), a, ("a/verbs.rs", other)]),
            TABLE,
        )
    }

    #[test]
    fn methods_stand_with_their_type() {
        let found = check("use super::Narrow;\n\nimpl Narrow { fn f(&self) {} }");
        assert_one(
            found,
            &[
                "src/a/verbs.rs:3: `impl a::Narrow`",
                "its home, src/a/mod.rs",
            ],
        );
        assert_one(check("impl<T> super::Narrow<T> {}"), &["src/a/verbs.rs:1"]);
        assert_one(
            check("use super::Narrow as Other; m! { impl Other {} }"),
            &["`impl a::Narrow`"],
        );
    }

    #[test]
    fn methods_of_traits_stand_anywhere() {
        assert_none(check(
            "use super::Narrow; trait Own {} impl Own for Narrow {}",
        ));
        assert_none(check("struct Narrow; impl Narrow {}"));
        assert_none(check("use super::Narrow;\n#[cfg(test)] impl Narrow {}"));
    }

    #[test]
    fn a_type_may_have_a_wider_home() {
        assert_none(check("use super::Wide; impl Wide {}"));
        let a = ("a/mod.rs", "pub struct Wide;");
        let b = ("b.rs", "use crate::a::Wide; impl Wide {}");
        let found = rules::homes(&tree(&[("lib.rs", "mod a; mod b;"), a, b]), TABLE);
        assert_one(found, &["src/b.rs:1", "its home, src/a/"]);
        // The table names types that are there.
        assert_one(
            rules::homes(&tree(&[("lib.rs", "")]), TABLE),
            &["no type `a::Wide`"],
        );
    }
}

#[test]
fn a_part_of_another_crate_is_named_where_the_table_says() {
    let table = [Foreign("hyper::upgrade", "a")];
    let source = "use hyper::{body::Body, upgrade::OnUpgrade};";
    let a = ("a/deep.rs", source);
    assert_none(rules::foreign(&tree(&[("lib.rs", ""), a]), &table));
    for source in [
        source,
        "fn f() { hyper::upgrade::on(x); }",
        "use hyper::upgrade;",
    ] {
        let found = rules::foreign(&tree(&[("lib.rs", ""), a, ("b.rs", source)]), &table);
        assert_one(
            found,
            &["src/b.rs:1: names `hyper::upgrade`, which only these may: a"],
        );
    }
    let source = "use hyper::{body::Body, upgrades}; use other::hyper::upgrade;";
    assert_none(rules::foreign(
        &tree(&[("lib.rs", ""), ("b.rs", source)]),
        &table,
    ));
}

#[test]
fn lines_count_up_to_the_unit_tests() {
    let code = "#[cfg(test)]\nuse x;\n".repeat(5);
    let check = |source: &str| rules::lengths(&tree(&[("a.rs", source)]), 9);
    assert_one(check(&code), &["src/a.rs: 10 lines", "9 at most"]);
    let tests = "#[cfg(test)]\nmod tests {\n\n\n\n\n\n\n\n\n}\n";
    assert_none(check(tests));
    assert_one(check(&[&code, tests].concat()), &["10 lines"]);
}

#[test]
fn a_path_that_leads_nowhere_is_found() {
    let check =
        |source: &str| rules::resolved(&Tree::new(&[("lib.rs", "mod a;"), ("a.rs", source)]));
    assert_one(
        check("\nuse crate::missing::X;"),
        &["src/a.rs:2: `crate::missing::X`"],
    );
    assert_one(check("mod b { use super::X; }"), &["`super::X`"]);
    assert_none(check(
        "use other::X; enum E { A } use self::E::A; use E::A as B;",
    ));
}

#[test]
fn a_source_that_a_document_names_exists() {
    let files = ["src/hub/room.rs", "src/close.rs", "tests/axum.rs"].map(str::to_owned);
    let check = |document: &str| rules::documents("page.md", document, &files);
    assert_none(check(
        "In `hub/room.rs`, close.rs, (src/close.rs), tests/axum.rs. Not .rs or a.rst.",
    ));
    assert_one(
        check("First.\n`room.rs` and `ub/room.rs`"),
        &["page.md:2: there is no `ub/room.rs`"],
    );
    assert_one(check("see old.rs."), &["page.md:1: there is no `old.rs`"]);
}

#[test]
fn a_test_that_a_comment_or_a_document_names_exists() {
    let functions = HashSet::from(["a_peer_that_is_gone_is_given_up".to_owned()]);
    let check = |text: &str| rules::tests("src/a.rs", text, &functions);
    assert_none(check(
        "`a_peer_that_is_gone_is_given_up`, `serve_connection_with_upgrades`, `a-b_c_d_e_f_g_h`",
    ));
    assert_one(
        check("First.\n// `x` and `a_peer_that_is_old_is_given_up`"),
        &["src/a.rs:2: there is no test `a_peer_that_is_old_is_given_up`"],
    );
}

#[test]
fn an_exception_excuses_its_rule_at_its_files_only() {
    let violation = |rule, files: &[&str]| Violation {
        rule,
        files: files.iter().map(|file| (*file).to_owned()).collect(),
        text: String::new(),
    };
    let exception = Exception("circles", "a/ b.rs", "not yet");
    let excused = |found| rules::without(std::slice::from_ref(&exception), vec![found]).is_empty();
    assert!(excused(violation("circles", &["a/x.rs", "b.rs"])));
    assert!(!excused(violation("circles", &["a/x.rs", "c.rs"])));
    assert!(!excused(violation("floors", &["a/x.rs"])));
}
