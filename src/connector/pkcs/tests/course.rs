//! Which order counts: every combination of what the journal and the gateway say.

use crate::connector::pkcs::course::{Course, Kept, Whose, resume};
use crate::connector::pkcs::progress::{Progress, Step};

fn step(rank: u8) -> Step {
    match rank {
        0 => Step::KeyMade,
        1 => Step::Ordered,
        2 => Step::Pending {
            reference: vec![1].into(),
            since_ms: 1,
        },
        _ => Step::Issued {
            certificate: vec![2].into(),
            others: Vec::new(),
        },
    }
}

fn at(csr: u8, rank: u8, fence: u64) -> Progress {
    let text = || "t".to_owned();
    let mut made = Progress::key_made(
        text(),
        text(),
        text(),
        vec![csr].into(),
        vec![csr, 9].into(),
        0,
    );
    made.reach(step(rank), fence);
    made
}

/// `-`: a key is made; `o3`: the own order at step 3; `t1`: the told one at step 1.
fn goes_on(kept: Kept, told: Option<Progress>) -> String {
    match resume(kept, told, 9) {
        None => "-".to_owned(),
        Some(course) => format!(
            "{}{}",
            match course.whose {
                Whose::Own => 'o',
                Whose::Told => 't',
            },
            course.at.step.rank()
        ),
    }
}

fn own(own: Progress) -> Kept {
    Kept {
        own: Some(own),
        told: None,
    }
}

#[test]
fn every_combination_has_its_way_on() {
    // Nothing of one's own: asked is about what may be ordered, and a key that nobody ordered is nobody's loss.
    assert_eq!(goes_on(Kept::default(), None), "-");
    for (rank, way) in ["-", "t1", "t2", "t3"].into_iter().enumerate() {
        let told = at(2, u8::try_from(rank).unwrap(), 1);
        assert_eq!(goes_on(Kept::default(), Some(told)), way);
    }
    // Rows: the own step; columns: the told step. First: of the own key; then: of another one.
    let tables: [(u8, u64, [[&str; 4]; 4]); 4] = [
        // The own key, told before the own step was reached, or as it was.
        (
            1,
            5,
            [
                ["o0", "o0", "o0", "o0"],
                ["o1", "o1", "o1", "o1"],
                ["o2", "o2", "o2", "o2"],
                ["o3", "o3", "o3", "o3"],
            ],
        ),
        // The own key, of which another connector learned more. A certificate is its word.
        (
            1,
            6,
            [
                ["o0", "o1", "o2", "t3"],
                ["o1", "o1", "o2", "t3"],
                ["o2", "o2", "o2", "t3"],
                ["o3", "o3", "o3", "o3"],
            ],
        ),
        // Another key, told before the own step was reached.
        (
            2,
            4,
            [
                ["o0", "t1", "t2", "t3"],
                ["o1", "o1", "o1", "o1"],
                ["o2", "o2", "o2", "o2"],
                ["o3", "o3", "o3", "o3"],
            ],
        ),
        // Another key, told later.
        (
            2,
            6,
            [
                ["o0", "t1", "t2", "t3"],
                ["o1", "t1", "t2", "t3"],
                ["o2", "t1", "t2", "t3"],
                ["o3", "o3", "o3", "o3"],
            ],
        ),
    ];
    for (csr, fence, table) in tables {
        for (mine, row) in (0_u8..).zip(table) {
            assert_eq!(goes_on(own(at(1, mine, 5)), None), format!("o{mine}"));
            for (theirs, way) in (0_u8..).zip(row) {
                let found = goes_on(own(at(1, mine, 5)), Some(at(csr, theirs, fence)));
                assert_eq!(found, way, "own {mine}, told {theirs} of {csr} at {fence}");
            }
        }
    }
}

#[test]
fn nothing_that_is_told_becomes_ones_own() {
    for mine in 0..4 {
        for theirs in 0..4 {
            for fence in [0, 4, 5, 6, 9, u64::MAX] {
                for csr in [1, 2] {
                    let kept = own(at(1, mine, 5));
                    let Some(course) = resume(kept, Some(at(csr, theirs, fence)), 9) else {
                        panic!("the own key is lost");
                    };
                    let same = course.whose == Whose::Own;
                    let mine = if same {
                        Some(&course.at)
                    } else {
                        course.other.as_ref()
                    };
                    assert_eq!(mine.unwrap().csr.as_slice(), [1]);
                    assert_eq!(mine.unwrap().sealed_key.as_slice(), [1, 9]);
                    assert!(
                        same || course.at.step != Step::KeyMade,
                        "it would be ordered"
                    );
                    assert!(course.at.fence <= 9, "no lease is above the present one");
                }
            }
        }
    }
}

#[test]
fn what_is_kept_comes_back_and_what_the_authority_said_is_not_forgotten() {
    let followed = Course {
        at: at(2, 2, 6),
        whose: Whose::Told,
        other: Some(at(1, 0, 5)),
    };
    let kept = Kept::of_bytes(&followed.to_bytes()).unwrap();
    assert_eq!(resume(kept.clone(), None, 9), Some(followed.clone()));
    // The gateway is still where it was, or was told more, or has another order.
    for (told, found) in [
        (at(2, 1, 5), at(2, 2, 6)),
        (at(2, 3, 7), at(2, 3, 7)),
        (at(3, 1, 4), at(2, 2, 6)),
        (at(3, 1, 7), at(3, 1, 7)),
    ] {
        assert_eq!(resume(kept.clone(), Some(told), 9).unwrap().at, found);
    }
    // It knows that nothing was ordered: the own key.
    let known = resume(kept, Some(at(3, 0, 7)), 9).unwrap();
    assert_eq!((known.whose, known.at), (Whose::Own, at(1, 0, 5)));
    // What a release wrote that is not this one.
    let newer = String::from_utf8(followed.to_bytes()).unwrap().replacen(
        "\"version\":2",
        "\"version\":3",
        1,
    );
    assert_eq!(Kept::of_bytes(newer.as_bytes()), None);
    assert_eq!(Kept::of_bytes(&at(1, 1, 1).to_bytes()), None);
}

#[test]
fn asked_anew_is_with_the_own_key_or_none() {
    let course = |whose, other| Course {
        at: at(1, 1, 5),
        whose,
        other,
    };
    let anew = |course: Course| course.anew(7).map(|course| (course.whose, course.at));
    assert_eq!(
        anew(course(Whose::Own, Some(at(2, 1, 6)))),
        Some((Whose::Own, at(1, 0, 7)))
    );
    assert_eq!(
        anew(course(Whose::Told, Some(at(2, 2, 5)))),
        Some((Whose::Own, at(2, 0, 7)))
    );
    assert_eq!(anew(course(Whose::Told, None)), None);
}
