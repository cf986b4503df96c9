//! The operating environment of this process, and whether it is one of those that the laboratory tested.
//!
//! A certificate of FIPS 140-3 holds for its tested operational environments. Those of 5314 and 5298 are two machines of one
//! operating system, and "vendor affirmed: none": everything else is the operator's own claim. So the ordinary answer is "no".

use std::fs::File;
use std::io::Read;
use std::sync::OnceLock;

/// As much of a file is read. The facts of every processor are repeated, and big machines have hundreds of them.
const MOST_BYTES: u64 = 64 * 1024;
/// As much of a text is kept, in characters.
const MOST_CHARACTERS: usize = 120;
/// Nothing that was found.
const UNKNOWN: &str = "unknown";

/// Where a process runs, as the system tells it. Plain texts, shortened, without control characters; empty: not told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Environment {
    /// `ID` of os-release(5): `debian`, `amzn`.
    pub system: String,
    /// `VERSION_ID` of os-release(5).
    pub system_version: String,
    /// `PRETTY_NAME` of os-release(5).
    pub system_name: String,
    /// The first processor by its name (x86-64), or by the numbers of its maker and kind (aarch64): `/proc/cpuinfo`.
    pub processor: String,
    /// `x86_64`, `aarch64`.
    pub architecture: String,
    /// What the firmware calls the machine: `product_name` of DMI, which at Amazon is the type of the instance.
    pub machine: String,
    /// The release of the kernel. os-release is a file of the container, if there is one, and the kernel is the host's.
    pub kernel: String,
}

/// An environment that the laboratory tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TestedEnvironment {
    /// As the certificates name it.
    pub name: &'static str,
    system: (&'static str, &'static str),
    /// What the release of the system's kernel holds.
    kernel: &'static str,
    architecture: &'static str,
    /// What the name of the processor holds.
    processor: &'static str,
    /// The machine, or the beginning of its name up to a hyphen: the same in several sizes.
    machine: &'static str,
}

/// The tested operational environments of certificates 5314 and 5298: these two and no other.
pub const TESTED: [TestedEnvironment; 2] = [
    TestedEnvironment {
        name: "Amazon Linux 2023 on Graviton4 (r8g.metal)",
        system: ("amzn", "2023"),
        kernel: ".amzn2023.",
        architecture: "aarch64",
        // Arm Neoverse V2. Others build this core as well, so that the machine's name decides.
        processor: "implementer 0x41, part 0xd4f",
        machine: "r8g.metal",
    },
    TestedEnvironment {
        name: "Amazon Linux 2023 on Intel Xeon 8375C (c6i.metal)",
        system: ("amzn", "2023"),
        kernel: ".amzn2023.",
        architecture: "x86_64",
        processor: "8375C",
        machine: "c6i.metal",
    },
];

impl Environment {
    /// Makes it of what the files hold.
    #[must_use]
    pub fn parse(
        os_release: &str,
        kernel: &str,
        cpuinfo: &str,
        machine: &str,
        architecture: &str,
    ) -> Self {
        Self {
            system: os_release_value(os_release, "ID"),
            system_version: os_release_value(os_release, "VERSION_ID"),
            system_name: os_release_value(os_release, "PRETTY_NAME"),
            processor: processor(cpuinfo),
            architecture: plain(architecture),
            machine: plain(machine),
            kernel: plain(kernel),
        }
    }

    /// The environment of this process, as it was when it was first asked for.
    #[must_use]
    pub fn of_this_process() -> &'static Self {
        static FOUND: OnceLock<Environment> = OnceLock::new();
        FOUND.get_or_init(|| {
            let os_release = ["/etc/os-release", "/usr/lib/os-release"]
                .into_iter()
                .map(beginning_of)
                .find(|text| !text.is_empty());
            Self::parse(
                &os_release.unwrap_or_default(),
                &beginning_of("/proc/sys/kernel/osrelease"),
                &beginning_of("/proc/cpuinfo"),
                &beginning_of("/sys/class/dmi/id/product_name"),
                std::env::consts::ARCH,
            )
        })
    }

    /// The tested environment that this is; `None` where it is none of them, or not known to be one.
    #[must_use]
    pub fn tested(&self) -> Option<&'static TestedEnvironment> {
        TESTED.iter().find(|tested| tested.is(self))
    }

    /// The environment and what the certificates say of it, in one sentence.
    #[must_use]
    pub fn says(&self) -> String {
        let here = self.describe();
        match self.tested() {
            Some(tested) => {
                format!("{here}: among the tested environments, as {}", tested.name)
            }
            None => format!(
                "{here}: not among the tested environments, which are {} and {}",
                TESTED[0].name, TESTED[1].name
            ),
        }
    }

    /// System, processor and architecture in a few words.
    #[must_use]
    pub fn describe(&self) -> String {
        let name = match (self.system_name.as_str(), self.system.as_str()) {
            ("", "") => "an unknown system",
            ("", id) => id,
            (name, _) => name,
        };
        let processor = match self.processor.as_str() {
            "" => "an unknown processor",
            known => known,
        };
        format!("{name} on {processor} ({})", self.architecture)
    }
}

impl TestedEnvironment {
    fn is(&self, found: &Environment) -> bool {
        let machine = found
            .machine
            .strip_prefix(self.machine)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
        (found.system.as_str(), found.system_version.as_str()) == self.system
            && found.kernel.contains(self.kernel)
            && found.architecture == self.architecture
            && found.processor.contains(self.processor)
            && machine
    }
}

/// The beginning of a file; empty when it cannot be read.
fn beginning_of(path: &str) -> String {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(file) => {
            // What was read until an error is as good as a shorter file.
            let _ = file.take(MOST_BYTES).read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        }
        Err(_) => String::new(),
    }
}

fn plain(text: &str) -> String {
    text.trim()
        .chars()
        .filter(|c| !c.is_control())
        .take(MOST_CHARACTERS)
        .collect()
}

/// A value of os-release(5): bare, or in quotes of either kind with backslashes before what a shell would take.
fn os_release_value(text: &str, key: &str) -> String {
    let value = text
        .lines()
        .filter_map(|line| line.trim().split_once('='))
        // The last assignment is the one in force, as in a shell.
        .rfind(|(name, _)| *name == key)
        .map_or("", |(_, value)| value.trim());
    let inner = ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value);
    plain(&inner.replace('\\', ""))
}

/// The first processor of `/proc/cpuinfo`.
fn processor(cpuinfo: &str) -> String {
    let value = |key: &str| {
        cpuinfo
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.trim() == key)
            .map(|(_, value)| plain(value))
            .filter(|value| !value.is_empty())
    };
    if let Some(name) = value("model name") {
        return name;
    }
    match (value("CPU implementer"), value("CPU part")) {
        (None, None) => String::new(),
        (maker, part) => plain(&format!(
            "implementer {}, part {}",
            maker.as_deref().unwrap_or(UNKNOWN),
            part.as_deref().unwrap_or(UNKNOWN)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AMAZON: &str = "NAME=\"Amazon Linux\"\nVERSION=\"2023\"\nID=\"amzn\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"2023\"\n\
                          PRETTY_NAME=\"Amazon Linux 2023.8.20250707\"\n";
    const AMAZON_KERNEL: &str = "6.1.141-155.222.amzn2023.x86_64\n";
    const DEBIAN: &str =
        "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\n";
    const XEON: &str = "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel\t\t: 106\n\
                        model name\t: Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz\nprocessor\t: 1\nmodel name\t: another\n";
    const GRAVITON: &str = "processor\t: 0\nBogoMIPS\t: 2000.00\nCPU implementer\t: 0x41\nCPU architecture: 8\n\
                            CPU variant\t: 0x0\nCPU part\t: 0xd4f\nCPU revision\t: 1\n";

    fn tested(os_release: &str, cpuinfo: &str, machine: &str, architecture: &str) -> bool {
        tested_with(AMAZON_KERNEL, os_release, cpuinfo, machine, architecture)
    }

    fn tested_with(
        kernel: &str,
        os_release: &str,
        cpuinfo: &str,
        machine: &str,
        architecture: &str,
    ) -> bool {
        let found = Environment::parse(os_release, kernel, cpuinfo, machine, architecture);
        let says = found.says();
        assert_eq!(
            found.tested().is_none(),
            says.contains(": not among the tested environments"),
            "{says}"
        );
        found.tested().is_some()
    }

    #[test]
    fn the_two_machines_of_the_certificates_are_tested_environments() {
        assert!(tested(AMAZON, XEON, "c6i.metal\n", "x86_64"));
        assert!(tested(AMAZON, GRAVITON, "r8g.metal-24xl\n", "aarch64"));
    }

    #[test]
    fn another_system_processor_or_machine_is_untested() {
        let amd = XEON.replace("Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz", "AMD EPYC");
        let older = AMAZON.replace("VERSION_ID=\"2023\"", "VERSION_ID=\"2\"");
        assert!(!tested(AMAZON, &amd, "m6a.metal", "x86_64"));
        assert!(!tested(AMAZON, &amd, "c6i.metal", "x86_64"));
        assert!(!tested(&older, XEON, "c6i.metal", "x86_64"));
        assert!(!tested(DEBIAN, XEON, "c6i.metal", "x86_64"));
        let graviton3 = GRAVITON.replace("0xd4f", "0xd40");
        assert!(!tested(AMAZON, &graviton3, "r8g.metal-24xl", "aarch64"));
        assert!(!tested(AMAZON, GRAVITON, "r8g.metal-24xl", "x86_64"));
    }

    /// The same processor under a hypervisor, or in a machine of somebody else.
    #[test]
    fn the_processor_alone_does_not_make_a_tested_environment() {
        assert!(!tested(AMAZON, GRAVITON, "r8g.4xlarge", "aarch64"));
        assert!(!tested(AMAZON, GRAVITON, "Grace server", "aarch64"));
        assert!(!tested(AMAZON, XEON, "c6i.8xlarge", "x86_64"));
        assert!(!tested(AMAZON, XEON, "c6i.metals", "x86_64"));
        assert!(!tested(AMAZON, XEON, "", "x86_64"));
    }

    /// A container brings its own os-release to whatever kernel it is started on.
    #[test]
    fn a_container_of_the_tested_system_on_another_kernel_is_untested() {
        for kernel in [
            "6.8.0-1031-aws\n",
            "6.1.0-37-amd64",
            "5.10.1.amzn2.x86_64",
            "",
        ] {
            assert!(!tested_with(kernel, AMAZON, XEON, "c6i.metal", "x86_64"));
        }
    }

    #[test]
    fn an_ordinary_machine_is_described_and_said_to_be_untested() {
        let found = Environment::parse(DEBIAN, "6.1.0", XEON, "Standard PC", "x86_64");
        assert_eq!(
            (found.system.as_str(), found.system_version.as_str()),
            ("debian", "12")
        );
        assert_eq!(
            found.says(),
            "Debian GNU/Linux 12 (bookworm) on Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz (x86_64): not among the tested \
             environments, which are Amazon Linux 2023 on Graviton4 (r8g.metal) and Amazon Linux 2023 on Intel Xeon 8375C \
             (c6i.metal)"
        );
    }

    #[test]
    fn garbage_is_an_unknown_and_untested_environment() {
        for (os_release, cpuinfo) in [
            ("", ""),
            ("ID", "model name"),
            ("=\n==\nID=\"", ":\n: :\nmodel name :\n"),
            ("\u{1b}[2J\0", "CPU part\t:"),
        ] {
            let found = Environment::parse(os_release, "\u{7}", cpuinfo, "\u{7}", "x86_64");
            assert!(found.tested().is_none());
            assert!(!found.says().contains(char::is_control), "{found:?}");
        }
        let nothing = Environment::parse("", "", "", "", "riscv64");
        assert_eq!(
            nothing.describe(),
            "an unknown system on an unknown processor (riscv64)"
        );
        let long = format!("PRETTY_NAME=\"{}\"\nID='a\\'b'", "x".repeat(10_000));
        let found = Environment::parse(&long, "", "", "", "x86_64");
        assert_eq!(found.system_name.len(), MOST_CHARACTERS);
        assert_eq!(found.system, "a'b");
    }

    #[test]
    fn this_machine_says_something_of_itself() {
        let found = Environment::of_this_process();
        assert_eq!(found.architecture, std::env::consts::ARCH);
        assert!(std::ptr::eq(found, Environment::of_this_process()));
    }
}
