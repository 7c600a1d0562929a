//! The time and the memory of processes, as the kernel counts them.

use std::fs;
use std::io;
use std::time::Instant;

/// The ticks of `/proc/PID/stat` in a second on Linux, whatever the frequency of the
/// kernel's own timer.
const TICKS: f64 = 100.0;

/// The clocks of the server, of this process and of the machine, at one moment.
pub struct Clocks {
    at: Instant,
    server_ns: u64,
    server_user_ticks: u64,
    server_system_ticks: u64,
    own_ns: u64,
    /// The time that all CPUs were busy.
    busy_ticks: u64,
}

impl Clocks {
    pub fn read(server: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{server}/stat"))?;
        // The second field is a name in parentheses, which may contain blanks.
        let fields: Vec<_> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        Ok(Clocks {
            at: Instant::now(),
            server_ns: on_cpu(server)?,
            server_user_ticks: number(&fields, 11)?,
            server_system_ticks: number(&fields, 12)?,
            own_ns: on_cpu(std::process::id())?,
            busy_ticks: busy()?,
        })
    }

    /// The time since `start`, as fields of a JSON object.
    pub fn since(&self, start: &Clocks) -> String {
        let seconds = (self.at - start.at).as_secs_f64();
        let server = (self.server_ns - start.server_ns) as f64;
        let own = (self.own_ns - start.own_ns) as f64;
        let user = (self.server_user_ticks - start.server_user_ticks) as f64 / TICKS;
        let system = (self.server_system_ticks - start.server_system_ticks) as f64 / TICKS;
        let busy = (self.busy_ticks - start.busy_ticks) as f64 / TICKS;
        let others = busy - (server + own) / 1e9;
        format!(
            "\"seconds\": {seconds:.4}, \"server_cpu_ns\": {server:.0}, \
             \"server_user_share\": {:.4}, \"server_busy\": {:.4}, \"load_busy\": {:.4}, \
             \"others\": {:.4}",
            user / (user + system).max(1.0 / TICKS),
            server / 1e9 / seconds,
            own / 1e9 / seconds,
            others / seconds,
        )
    }
}

/// The time that all threads of a process were on a CPU, in nanoseconds, by
/// the scheduler's own count.
fn on_cpu(process: u32) -> io::Result<u64> {
    let mut total = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let path = thread?.path().join("schedstat");
        let text = fs::read_to_string(path)?;
        total += number(&text.split_whitespace().collect::<Vec<_>>(), 0)?;
    }
    Ok(total)
}

/// The time for user, nice, system, interrupts and the hypervisor.
fn busy() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/stat")?;
    let fields: Vec<_> = text
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    [1, 2, 3, 6, 7, 8]
        .into_iter()
        .map(|at| number(&fields, at))
        .sum()
}

/// The memory of a process that is in use, in bytes.
pub fn resident(process: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let line = text
        .lines()
        .find(|line| line.starts_with("Rss:"))
        .unwrap_or_default();
    Ok(number(&line.split_whitespace().collect::<Vec<_>>(), 1)? * 1024)
}

fn number(fields: &[&str], at: usize) -> io::Result<u64> {
    fields
        .get(at)
        .and_then(|field| field.parse().ok())
        .ok_or_else(|| io::Error::other("the kernel's files look different here"))
}
