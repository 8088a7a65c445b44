//! The CPU time and memory of a server, as the kernel counts them for all its processes and
//! threads.

use std::fs;
use std::time::Duration;

use nix::unistd::{Pid, SysconfVar, sysconf};

pub use crate::sides::tasks::cpu_time;

/// The CPU time of the children that a process has waited for, in ticks of mostly 10 ms.
pub fn cpu_time_of_ended_children(process: Pid) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name, in brackets, may hold anything. After it come the third field and the rest: proc(5).
    let fields = stat
        .rsplit_once(") ")
        .map_or(Vec::new(), |(_, rest)| rest.split(' ').collect());
    let ticks = |field: usize| -> u32 {
        let text = fields.get(field - 3);
        text.and_then(|text| text.parse().ok()).unwrap_or_default()
    };
    let a_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    let a_second = u32::try_from(a_second).unwrap_or(100);
    Duration::from_secs(1) * (ticks(16) + ticks(17)) / a_second
}

/// Memory in KiB.
#[derive(Clone, Copy, Default)]
pub struct Memory {
    /// Pages that they have written to and do not share (`Private_Dirty`).
    pub private: u32,
    /// All their pages, with program and libraries; a page of several processes is divided among
    /// them (`Pss`).
    pub proportional: u32,
}

/// The memory of processes.
pub fn memory(family: &[Pid]) -> Result<Memory, String> {
    let mut memory = Memory::default();
    for process in family {
        let path = format!("/proc/{process}/smaps_rollup");
        let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let sum = match words.next() {
                Some("Private_Dirty:") => &mut memory.private,
                Some("Pss:") => &mut memory.proportional,
                _ => continue,
            };
            *sum += words.next().and_then(|kib| kib.parse().ok()).unwrap_or(0);
        }
    }
    Ok(memory)
}
