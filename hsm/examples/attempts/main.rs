//! Tries from inside of a sandbox what it has to refuse; a program of the tests.
//!
//! `attempts PROFILE LANDLOCK-ABI OUTSIDE INSIDE VICTIM [ATTEMPT]`: puts the profile in force (`none`: nothing; `formats`, `custody-KIND`,
//! `supervisor-KIND`), makes the attempts, and writes a line for each: its name, a tab, 0 or the error number.
#![allow(clippy::print_stdout)]

mod attempts;

use attempts::{ALL, Scene, run};
use sandbox::{Access, Kernel, Profile, Want, engine, modules};

fn profile(name: &str, scene: &Scene) -> Option<Profile> {
    let custody = |kind: &str| {
        let mut profile = engine::custody(&[modules::named(kind)?]);
        profile.path(&scene.inside, Access::Write);
        Some(profile)
    };
    match name.split_once('-') {
        None if name == "formats" => Some(engine::formats()),
        Some(("custody", kind)) => custody(kind),
        Some(("supervisor", kind)) => Some(engine::supervisor(&custody(kind)?)),
        _ => None,
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let argument = |place: usize| arguments.get(place).cloned().unwrap_or_default();
    let scene = Scene {
        outside: argument(3),
        inside: argument(4),
        victim: argument(5).parse().unwrap_or(0),
    };
    // The buffer of standard output is made before, as everything is that a sandboxed process needs.
    println!("started");
    if let Some(profile) = profile(&argument(1), &scene) {
        let abi = argument(2).parse().unwrap_or(0);
        let kernel = Kernel::running().with_landlock_abi_at_most(abi);
        match sandbox::apply(&profile, &kernel, Want::Available) {
            Ok(report) => println!("# {}", report.words()),
            Err(error) => {
                println!("# {error}");
                std::process::exit(2);
            }
        }
    }
    for attempt in ALL {
        if arguments.get(6).is_none_or(|wanted| wanted == attempt.name) {
            println!("{}\t{}", attempt.name, run(attempt, &scene));
        }
    }
}
