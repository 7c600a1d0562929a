//! A Redis whose disk is full: it refuses writes until there is room again.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::redis_server::RedisServer;
use super::world::World;
use super::{CLIENTS, seconds};

/// A disk in memory, unmounted when this is dropped.
struct Disk(PathBuf);

impl Disk {
    /// Mounts a disk of this many mebibytes; `None` without the permission for it, after
    /// saying so.
    fn mount(mebibytes: usize) -> Option<Self> {
        let folder = std::env::temp_dir().join(format!("hyper-ws-disk-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("the temporary folder is writable");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs"])
            .arg(&folder)
            .output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            eprintln!("\n*** NOT RUN: a disk can be mounted by root alone ***\n");
            return None;
        }
        Some(Disk(folder))
    }

    /// Takes nearly all of the disk.
    fn fill(&self, bytes: usize) {
        std::fs::write(self.0.join("full"), vec![0; bytes]).expect("there is room for it");
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("full")).expect("it was filled");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_missed_when_the_disk_of_redis_is_full() {
    let Some(disk) = Disk::mount(16) else {
        return;
    };
    let folder = disk.0.to_str().expect("the path is text");
    // With `appendfsync always`, Redis ends itself instead of refusing.
    let redis = RedisServer::with(&[
        "--dir",
        folder,
        "--appendonly",
        "yes",
        "--appendfsync",
        "everysec",
        "--save",
        "",
    ]);
    let Some(mut world) = World::start(redis, CLIENTS, &[]).await else {
        return;
    };
    disk.fill(15 << 20);
    let is_refusing =
        |world: &World| world.redis.info("persistence", "aof_last_write_status") == "err";
    for _ in 0..120 {
        world.talk(Duration::from_millis(500)).await;
        if is_refusing(&world) {
            break;
        }
    }
    assert!(is_refusing(&world), "the disk has not become full");
    world.talk(seconds(2)).await;
    disk.free();
    let writes_again = async {
        while is_refusing(&world) {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(seconds(60), writes_again)
        .await
        .expect("Redis goes on refusing");
    world.talk(seconds(1)).await;
    world.finish().await.check_nothing_missed();
}
