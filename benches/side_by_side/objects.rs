//! Whether other objects on the token slow anything down: the bare loop and the engine without them and with them.

use super::bare::BareLoop;
use super::engine_path::EnginePath;
use super::ground::Ground;
use super::statistics::Spread;
use super::{Amount, Fallible};
use serde::Serialize;
use std::fmt;

const IN_FLIGHT: usize = 4;
/// Measurements on each side.
const TIMES: usize = 3;

/// Requests per second with few and with many objects.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Flatness {
    pub(crate) objects: u32,
    pub(crate) bare_without: Spread,
    pub(crate) bare_with: Spread,
    pub(crate) engine_without: Spread,
    pub(crate) engine_with: Spread,
}

impl Flatness {
    /// Leaves the objects on the token: nothing is to be measured after this.
    pub(crate) fn measure(
        objects: u32,
        bare: &BareLoop,
        ground: &Ground,
        engine: &EnginePath,
        amount: &Amount,
    ) -> Fallible<Self> {
        let both = || -> Fallible<(Spread, Spread)> {
            let mut rates = (Vec::new(), Vec::new());
            for _ in 0..TIMES {
                let raw = bare.run(ground, IN_FLIGHT, amount.operations, None)?;
                rates.0.push(raw.per_second);
                rates
                    .1
                    .push(engine.throughput(IN_FLIGHT, amount.operations)?);
            }
            Ok((Spread::of(rates.0), Spread::of(rates.1)))
        };
        let (bare_without, engine_without) = both()?;
        eprintln!("Making {objects} objects ...");
        bare.add_objects(ground, objects)?;
        let (bare_with, engine_with) = both()?;
        Ok(Self {
            objects,
            bare_without,
            bare_with,
            engine_without,
            engine_with,
        })
    }
}

impl fmt::Display for Flatness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "With {} other objects on the token, requests per second with {IN_FLIGHT} in flight",
            self.objects
        )?;
        for (name, without, with) in [
            ("bare loop", self.bare_without, self.bare_with),
            ("engine", self.engine_without, self.engine_with),
        ] {
            writeln!(
                f,
                "{name:>30}{without:>12}  then{with:>10}  {:.0} %",
                with.median / without.median * 100.0
            )?;
        }
        Ok(())
    }
}
