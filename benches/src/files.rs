//! Costs of reading files: of `runtime`, of `std` on one thread, and of tokio. Each measurement
//! runs in a process of its own. Times are CPU times of the process, all its threads together.

use std::future::Future;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::peers;
use crate::peers::Tasks;
use crate::results::{Figures, folder};
use crate::sys;

/// The peers of this suite.
pub(crate) const PEERS: [&str; 3] = ["runtime", "std", "tokio"];

/// The measurements. A unit is a file, or a piece of it.
pub(crate) const ALL: [&str; 7] = [
    "read 4 KiB",
    "open",
    "metadata",
    "sequential 64 KiB",
    "random 4 KiB",
    "100 readers, 16 KiB",
    "cold, 64 KiB",
];

const SMALL_BYTES: usize = 4 * 1024;
const LARGE_BYTES: usize = 16 * 1024 * 1024;

/// Creates the files that are read.
fn prepare() -> io::Result<(PathBuf, PathBuf)> {
    let (small, large) = (folder().join("4KiB"), folder().join("16MiB"));
    for (path, bytes) in [(&small, SMALL_BYTES), (&large, LARGE_BYTES)] {
        if path.metadata().map_or(0, |it| it.len()) != bytes as u64 {
            std::fs::write(path, vec![b'x'; bytes])?;
        }
        // A file that is written cannot leave memory.
        std::fs::File::open(path)?.sync_all()?;
        std::fs::read(path)?;
    }
    Ok((small, large))
}

fn evict(path: &Path) {
    let file = std::fs::File::open(path).unwrap();
    // SAFETY: takes no pointers; the descriptor is open.
    unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
}

/// The operations of a peer.
trait Files {
    type File;
    fn block_on<F: Future>(future: F) -> F::Output;
    /// Runs futures side by side.
    async fn all<F: Future<Output = ()> + 'static>(futures: Vec<F>);
    async fn read(path: &Path) -> Vec<u8>;
    async fn open(path: &Path) -> Self::File;
    async fn metadata(path: &Path) -> u64;
    async fn read_piece(file: &mut Self::File, piece: &mut [u8]) -> usize;
    async fn read_at(file: &mut Self::File, piece: &mut [u8], offset: u64);
}

struct Ours;

impl Files for Ours {
    type File = ::runtime::fs::File;

    fn block_on<F: Future>(future: F) -> F::Output {
        peers::ours::Ours::block_on(future)
    }

    async fn all<F: Future<Output = ()> + 'static>(futures: Vec<F>) {
        let tasks: Vec<_> = futures.into_iter().map(::runtime::spawn).collect();
        for task in tasks {
            task.await.unwrap();
        }
    }

    async fn read(path: &Path) -> Vec<u8> {
        ::runtime::fs::read(path).await.unwrap()
    }

    async fn open(path: &Path) -> Self::File {
        Self::File::open(path).await.unwrap()
    }

    async fn metadata(path: &Path) -> u64 {
        ::runtime::fs::metadata(path).await.unwrap().len()
    }

    async fn read_piece(file: &mut Self::File, piece: &mut [u8]) -> usize {
        ::runtime::io::AsyncReadExt::read(file, piece)
            .await
            .unwrap()
    }

    async fn read_at(file: &mut Self::File, piece: &mut [u8], offset: u64) {
        assert_eq!(file.read_at(piece, offset).await.unwrap(), piece.len());
    }
}

struct Std;

impl Files for Std {
    type File = std::fs::File;

    fn block_on<F: Future>(future: F) -> F::Output {
        futures_lite::future::block_on(future)
    }

    async fn all<F: Future<Output = ()> + 'static>(futures: Vec<F>) {
        for future in futures {
            future.await;
        }
    }

    async fn read(path: &Path) -> Vec<u8> {
        std::fs::read(path).unwrap()
    }

    async fn open(path: &Path) -> Self::File {
        Self::File::open(path).unwrap()
    }

    async fn metadata(path: &Path) -> u64 {
        std::fs::metadata(path).unwrap().len()
    }

    async fn read_piece(file: &mut Self::File, piece: &mut [u8]) -> usize {
        file.read(piece).unwrap()
    }

    async fn read_at(file: &mut Self::File, piece: &mut [u8], offset: u64) {
        assert_eq!(FileExt::read_at(file, piece, offset).unwrap(), piece.len());
    }
}

struct Tokio;

impl Files for Tokio {
    type File = ::tokio::fs::File;

    fn block_on<F: Future>(future: F) -> F::Output {
        peers::tokio::Tokio::block_on(future)
    }

    async fn all<F: Future<Output = ()> + 'static>(futures: Vec<F>) {
        let tasks: Vec<_> = futures
            .into_iter()
            .map(peers::tokio::Tokio::spawn)
            .collect();
        for task in tasks {
            task.await;
        }
    }

    async fn read(path: &Path) -> Vec<u8> {
        ::tokio::fs::read(path).await.unwrap()
    }

    async fn open(path: &Path) -> Self::File {
        Self::File::open(path).await.unwrap()
    }

    async fn metadata(path: &Path) -> u64 {
        ::tokio::fs::metadata(path).await.unwrap().len()
    }

    async fn read_piece(file: &mut Self::File, piece: &mut [u8]) -> usize {
        ::tokio::io::AsyncReadExt::read(file, piece).await.unwrap()
    }

    async fn read_at(file: &mut Self::File, piece: &mut [u8], offset: u64) {
        let to = io::SeekFrom::Start(offset);
        ::tokio::io::AsyncSeekExt::seek(file, to).await.unwrap();
        ::tokio::io::AsyncReadExt::read_exact(file, piece)
            .await
            .unwrap();
    }
}

/// Runs a measurement: the command `bench file PEER NAME`.
pub(crate) fn measure(peer: &str, name: &str) -> Option<Figures> {
    sys::die_with_parent();
    sys::pin(sys::SERVER_CORE);
    match peer {
        "runtime" => each::<Ours>(name),
        "std" => each::<Std>(name),
        "tokio" => each::<Tokio>(name),
        _ => None,
    }
}

fn each<P: Files + 'static>(name: &str) -> Option<Figures> {
    let (small, large) = prepare().unwrap();
    let (units, cpu) = P::block_on(async {
        // The first operations start the threads, where there are any.
        for _ in 0..100 {
            P::read(&small).await;
        }
        if name.starts_with("cold") {
            evict(&large);
        }
        let start = sys::cpu_time();
        let units = run::<P>(name, &small, &large).await?;
        Some((units, sys::cpu_time() - start))
    })?;
    Some(vec![("file_us", micros(cpu) / units as f64)])
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Runs the work of a measurement, and returns the number of its units.
async fn run<P: Files + 'static>(name: &str, small: &Path, large: &Path) -> Option<usize> {
    let mut piece = vec![0; 64 * 1024];
    match name {
        "read 4 KiB" => {
            for _ in 0..10_000 {
                assert_eq!(P::read(small).await.len(), SMALL_BYTES);
            }
            Some(10_000)
        }
        "open" => {
            for _ in 0..10_000 {
                P::open(small).await;
            }
            Some(10_000)
        }
        "metadata" => {
            for _ in 0..10_000 {
                assert_eq!(P::metadata(small).await, SMALL_BYTES as u64);
            }
            Some(10_000)
        }
        "sequential 64 KiB" => {
            for _ in 0..8 {
                let mut file = P::open(large).await;
                while P::read_piece(&mut file, &mut piece).await > 0 {}
            }
            Some(8 * LARGE_BYTES / piece.len())
        }
        "cold, 64 KiB" => {
            let mut file = P::open(large).await;
            while P::read_piece(&mut file, &mut piece).await > 0 {}
            Some(LARGE_BYTES / piece.len())
        }
        "random 4 KiB" => {
            let mut file = P::open(large).await;
            let mut page = 1_usize;
            for _ in 0..10_000 {
                page = page.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let offset = (page >> 33) % (LARGE_BYTES / SMALL_BYTES) * SMALL_BYTES;
                P::read_at(&mut file, &mut piece[..SMALL_BYTES], offset as u64).await;
            }
            Some(10_000)
        }
        "100 readers, 16 KiB" => {
            const READERS: usize = 100;
            const PIECE: usize = 16 * 1024;
            const PIECES: usize = 128;
            let reader = |large: PathBuf| async move {
                let mut file = P::open(&large).await;
                let mut piece = vec![0; PIECE];
                for _ in 0..PIECES {
                    P::read_piece(&mut file, &mut piece).await;
                }
            };
            P::all((0..READERS).map(|_| reader(large.to_owned())).collect()).await;
            Some(READERS * PIECES)
        }
        _ => None,
    }
}
