//! Slices on disk, so that the next process does not compile them again.
//!
//! In: slices, by the hash and the variant of their code. Out: the same slices, in a later process. A cache is never
//! needed: whatever is wrong with it, its file is built anew or left alone, and slices are compiled. Every entry
//! carries a checksum and the code that it was compiled from, which has to have the hash that is asked for. A file
//! that another analyzer wrote counts as empty. Never: a file of another program's, lost; it is set aside.

use std::{
    fs,
    hash::Hasher as _,
    io::{self, Read as _},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    thread,
    time::{Duration, Instant},
};

use alloy_primitives::{B256, keccak256};
use deconflict_analyzer::{Slice, Variant};
use etcetera::BaseStrategy as _;
use redb::{
    Builder, Database, DatabaseError, ReadOnlyDatabase, ReadableDatabase as _, ReadableTable as _,
    StorageError, TableDefinition,
};
use rustc_hash::FxHasher;
use thiserror::Error;

/// What wrote the file: the layout of entries, this crate, and the sources of the analyzer.
const VERSION: &str = concat!("1 ", env!("CARGO_PKG_VERSION"), " ", env!("DECONFLICT_ANALYZER"));

/// The name of the file in its folder.
const FILE: &str = "slices.redb";

/// The variable that names the folder.
const FOLDER_VARIABLE: &str = "DECONFLICT_CACHE_DIR";

const ABOUT: TableDefinition<'static, &str, &str> = TableDefinition::new("about");
const SLICES: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("slices");

/// How long another process may keep the file before it is done without.
const PATIENCE: Duration = Duration::from_millis(300);

/// How large the file may get, in bytes, before it is started anew.
const MAX_FILE: u64 = 2 << 30;

/// How much is kept to be written, in bytes of memory, before it is.
const MAX_PENDING: usize = 256 << 20;

/// What every store begins with.
const MAGIC: [u8; 9] = *b"redb\x1a\n\xa9\r\n";

/// How many files of others may stand beside the cache.
const MOST_ASIDE: u32 = 100;

/// How much of the file the store may keep in memory.
const STORE_MEMORY: usize = 16 << 20;

/// Why there is no cache, or why something was not written to it. Nothing is wrong with what was computed.
#[derive(Debug, Error)]
pub enum CacheError {
    /// The system does not say where caches belong.
    #[error("there is no folder for caches; name one with {FOLDER_VARIABLE}")]
    NoFolder,
    /// Other processes have the file.
    #[error("{} is in use by another process", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file or its folder cannot be used.
    #[error("{} cannot be used: {reason}", path.display())]
    Unusable {
        /// The file or folder.
        path: PathBuf,
        /// What the system or the store says.
        reason: String,
    },
}

/// Slices on disk.
#[derive(Debug)]
pub struct SliceCache {
    path: PathBuf,
    /// None while there is no file that can be read.
    reader: RwLock<Option<Reader>>,
    pending: Mutex<Pending>,
}

/// The open file, shared with other readers.
struct Reader(ReadOnlyDatabase);

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Reader").finish_non_exhaustive()
    }
}

/// Slices that are to be written.
#[derive(Debug, Default)]
struct Pending {
    slices: Vec<Arc<Slice>>,
    size: usize,
}

impl SliceCache {
    /// The cache in the user's folder for caches, or in the one that `DECONFLICT_CACHE_DIR` names.
    pub fn open() -> Result<Self, CacheError> {
        if let Some(folder) = std::env::var_os(FOLDER_VARIABLE).filter(|folder| !folder.is_empty()) {
            return Self::open_in(Path::new(&folder));
        }
        let base = etcetera::choose_base_strategy().map_err(|_| CacheError::NoFolder)?;
        Self::open_in(&base.cache_dir().join("deconflict"))
    }

    /// The cache in a folder. Neither has to exist.
    ///
    /// ```
    /// use deconflict_executor::{Predictor, SliceCache};
    ///
    /// let folder = std::env::temp_dir().join(format!("deconflict-example-{}", std::process::id()));
    /// let predictor = Predictor::with_cache(SliceCache::open_in(&folder)?);
    /// assert_eq!(predictor.cache().map(SliceCache::flush).transpose()?, Some(0));
    /// # let _ = std::fs::remove_dir_all(folder);
    /// # Ok::<(), deconflict_executor::CacheError>(())
    /// ```
    pub fn open_in(folder: &Path) -> Result<Self, CacheError> {
        let path = folder.join(FILE);
        let reader = open_reader(&path)?;
        Ok(Self { path, reader: RwLock::new(reader), pending: Mutex::default() })
    }

    /// The slice of the code with this hash, if it is there and whole.
    pub(crate) fn load(&self, hash: B256, variant: Variant) -> Option<Slice> {
        let reader = self.reader.read().unwrap_or_else(PoisonError::into_inner);
        let Reader(database) = reader.as_ref()?;
        let key = key(hash, variant);
        // The store may panic on a file that was damaged since it was opened.
        catch_unwind(AssertUnwindSafe(|| {
            let table = database.begin_read().ok()?.open_table(SLICES).ok()?;
            let entry = table.get(&key[..]).ok()??;
            decode(&key, entry.value()).filter(|slice| slice.hash == hash && slice.variant == variant)
        }))
        .ok()
        .flatten()
    }

    /// Keeps a slice to be written.
    pub(crate) fn store(&self, slice: &Arc<Slice>) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.size += slice.size();
        pending.slices.push(Arc::clone(slice));
        if pending.size > MAX_PENDING {
            // What cannot be written now is not worth the memory until later.
            let pending = std::mem::take(&mut *pending);
            let _ = self.write(&pending.slices);
        }
    }

    /// Writes what is kept to be written, in one transaction. How many slices those were.
    pub fn flush(&self) -> Result<usize, CacheError> {
        let pending = std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
        if pending.slices.is_empty() {
            return Ok(0);
        }
        self.write(&pending.slices)?;
        Ok(pending.slices.len())
    }

    fn write(&self, slices: &[Arc<Slice>]) -> Result<(), CacheError> {
        let mut reader = self.reader.write().unwrap_or_else(PoisonError::into_inner);
        // A reader of its own would keep the writer out.
        *reader = None;
        let written = catch_unwind(AssertUnwindSafe(|| write(&self.path, slices)));
        *reader = open_reader(&self.path).unwrap_or_default();
        written.unwrap_or_else(|_| {
            let reason = "its contents are damaged".to_owned();
            Err(CacheError::Unusable { path: self.path.clone(), reason })
        })
    }
}

impl Drop for SliceCache {
    fn drop(&mut self) {
        // Whoever wants to know calls `flush`.
        let _ = self.flush();
    }
}

/// Opens the file to read from it; none if there is none, or none that this analyzer has written. What can never be
/// read is removed.
fn open_reader(path: &Path) -> Result<Option<Reader>, CacheError> {
    let start = Instant::now();
    loop {
        let opened = catch_unwind(|| -> Result<_, DatabaseError> {
            let database = Builder::new().set_cache_size(STORE_MEMORY).open_read_only(path)?;
            let origin = origin(&database);
            Ok((origin, Reader(database)))
        });
        return match opened {
            Ok(Ok((Origin::Current, reader))) => Ok(Some(reader)),
            Ok(Ok((Origin::Foreign, reader))) => {
                drop(reader);
                set_aside(path).map(|()| None)
            }
            Ok(Err(DatabaseError::Storage(StorageError::Io(error))))
                if error.kind() == io::ErrorKind::NotFound =>
            {
                Ok(None)
            }
            Ok(Err(DatabaseError::DatabaseAlreadyOpen)) if start.elapsed() < PATIENCE => {
                thread::sleep(Duration::from_millis(10));
                continue;
            }
            Ok(Err(DatabaseError::DatabaseAlreadyOpen)) => Err(CacheError::InUse { path: path.to_owned() }),
            Ok(Err(DatabaseError::Storage(StorageError::Io(error))))
                if !matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
            {
                Err(CacheError::Unusable { path: path.to_owned(), reason: error.to_string() })
            }
            // Of another analyzer, damaged, or not a store at all.
            Ok(Ok((Origin::Older, _)) | Err(_)) | Err(_) => clear(path).map(|()| None),
        };
    }
}

/// Who has written a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// This analyzer.
    Current,
    /// Another analyzer, or nobody: there is nothing in it.
    Older,
    /// Another program.
    Foreign,
}

fn origin(database: &ReadOnlyDatabase) -> Origin {
    let read = || {
        let read = database.begin_read().ok()?;
        if read.list_tables().ok()?.next().is_none() {
            return Some(Origin::Older);
        }
        let Ok(table) = read.open_table(ABOUT) else { return Some(Origin::Foreign) };
        let version = table.get("version").ok()??;
        Some(if version.value() == VERSION { Origin::Current } else { Origin::Older })
    };
    // What cannot be read of it is damaged.
    read().unwrap_or(Origin::Older)
}

/// Makes room for a new file: nobody misses a store of ours that cannot be read, and all else is set aside.
fn clear(path: &Path) -> Result<(), CacheError> {
    let mut start = [0; MAGIC.len()];
    let read = fs::File::open(path).and_then(|mut file| file.read(&mut start));
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(length) if length == 0 || start == MAGIC => match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(CacheError::Unusable { path: path.to_owned(), reason: error.to_string() })
            }
            _ => Ok(()),
        },
        _ => set_aside(path),
    }
}

/// Gives a file that is not ours another name.
fn set_aside(path: &Path) -> Result<(), CacheError> {
    let mut reason = "it is no cache of Deconflict's".to_owned();
    for number in 1..=MOST_ASIDE {
        let other = path.with_extension(format!("set-aside-{number}"));
        // A link is never made where something is.
        match fs::hard_link(path, &other) {
            Ok(()) => match fs::remove_file(path) {
                Ok(()) => return Ok(()),
                Err(error) => reason = error.to_string(),
            },
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                reason = format!("it is no cache of Deconflict's, and cannot be set aside: {error}");
            }
        }
        break;
    }
    Err(CacheError::Unusable { path: path.to_owned(), reason })
}

fn write(path: &Path, slices: &[Arc<Slice>]) -> Result<(), CacheError> {
    let unusable = |reason: String| CacheError::Unusable { path: path.to_owned(), reason };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| unusable(error.to_string()))?;
    }
    if fs::metadata(path).is_ok_and(|file| file.len() > MAX_FILE) {
        fs::remove_file(path).map_err(|error| unusable(error.to_string()))?;
    }
    let database = open_writer(path)?;
    let fill = || -> Result<(), redb::Error> {
        let transaction = database.begin_write()?;
        {
            let mut about = transaction.open_table(ABOUT)?;
            let current = about.get("version")?.is_some_and(|version| version.value() == VERSION);
            if !current {
                transaction.delete_table(SLICES)?;
                about.insert("version", VERSION)?;
            }
            let mut table = transaction.open_table(SLICES)?;
            for slice in slices {
                let key = key(slice.hash, slice.variant);
                if let Some(entry) = encode(&key, slice) {
                    table.insert(&key[..], &entry[..])?;
                }
            }
        }
        transaction.commit()?;
        Ok(())
    };
    fill().map_err(|error| unusable(error.to_string()))
}

/// Opens the file to write to it, after a check of all of it. One that is damaged is replaced.
fn open_writer(path: &Path) -> Result<Database, CacheError> {
    let start = Instant::now();
    let mut replaced = false;
    loop {
        let mut builder = Builder::new();
        builder.set_cache_size(STORE_MEMORY).set_check_integrity_on_open(true);
        match builder.create(path) {
            Ok(database) => return Ok(database),
            Err(DatabaseError::DatabaseAlreadyOpen) if start.elapsed() < PATIENCE => {
                thread::sleep(Duration::from_millis(10));
            }
            Err(DatabaseError::DatabaseAlreadyOpen) => {
                return Err(CacheError::InUse { path: path.to_owned() });
            }
            Err(_) if !replaced && clear(path).is_ok() => replaced = true,
            Err(error) => {
                return Err(CacheError::Unusable { path: path.to_owned(), reason: error.to_string() });
            }
        }
    }
}

fn key(hash: B256, variant: Variant) -> [u8; 33] {
    let mut key = [0; 33];
    key[..32].copy_from_slice(hash.as_slice());
    key[32] = match variant {
        Variant::Lean => 0,
        Variant::Strict => 1,
    };
    key
}

/// A checksum and the slice behind it.
fn encode(key: &[u8], slice: &Slice) -> Option<Vec<u8>> {
    let mut entry = postcard::to_extend(slice, vec![0; 8]).ok()?;
    let checksum = checksum(key, &entry[8..]);
    entry[..8].copy_from_slice(&checksum);
    Some(entry)
}

/// The slice in an entry, if it is whole and the code in it is the code of the hash in it.
fn decode(key: &[u8], entry: &[u8]) -> Option<Slice> {
    let (expected, slice) = entry.split_first_chunk()?;
    if checksum(key, slice) != *expected {
        return None;
    }
    let slice: Slice = postcard::from_bytes(slice).ok()?;
    (keccak256(&slice.code) == slice.hash).then_some(slice)
}

/// A number that damage changes; it keeps nobody from writing entries on purpose.
fn checksum(key: &[u8], bytes: &[u8]) -> [u8; 8] {
    let mut hasher = FxHasher::default();
    hasher.write(key);
    hasher.write(bytes);
    hasher.finish().to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Bytes;

    /// Code that loads a slot of this number.
    fn code(number: u8) -> Bytes {
        Bytes::from(vec![0x60, number, 0x54, 0x50, 0x00])
    }

    fn slice(number: u8) -> Arc<Slice> {
        Arc::new(Slice::compile(code(number), Variant::Strict, false))
    }

    fn find(cache: &SliceCache, number: u8) -> Option<Slice> {
        cache.load(keccak256(code(number)), Variant::Strict)
    }

    /// What a slice is, without the order of its tables.
    fn text(slice: &Slice) -> String {
        format!("{:?} {:?} {:?} {:?}", slice.ops, slice.constants, slice.code, slice.entry)
    }

    /// A folder with a cache of these numbers.
    fn filled(numbers: &[u8]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = SliceCache::open_in(folder.path()).expect("nothing is in the way");
        for number in numbers {
            cache.store(&slice(*number));
        }
        assert_eq!(cache.flush().expect("nothing is in the way"), numbers.len());
        folder
    }

    #[test]
    fn the_next_process_finds_what_was_stored() {
        let folder = filled(&[1, 2]);
        let cache = SliceCache::open_in(folder.path()).expect("nothing is in the way");
        assert_eq!(text(&find(&cache, 1).expect("it is there")), text(&slice(1)));
        assert!(find(&cache, 3).is_none());
        assert!(cache.load(keccak256(code(1)), Variant::Lean).is_none());
        // Dropping writes too, and a cache reads what it has written itself.
        cache.store(&slice(3));
        cache.flush().expect("nothing is in the way");
        assert!(find(&cache, 3).is_some() && find(&cache, 2).is_some());
        cache.store(&slice(4));
        drop(cache);
        let cache = SliceCache::open_in(folder.path()).expect("nothing is in the way");
        assert!([1, 2, 3, 4].into_iter().all(|number| find(&cache, number).is_some()));
    }

    #[test]
    fn the_folder_and_its_parents_are_made() {
        let folder = tempfile::tempdir().expect("a folder");
        let inner = folder.path().join("a/b");
        let cache = SliceCache::open_in(&inner).expect("nothing is in the way");
        assert!(find(&cache, 1).is_none() && !inner.exists());
        cache.store(&slice(1));
        drop(cache);
        assert!(inner.join(FILE).exists());
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        fs::write(&file, "in the way").expect("room");
        let cache = SliceCache::open_in(&file.join("folder"));
        let error = match cache {
            Ok(cache) => {
                cache.store(&slice(1));
                cache.flush().expect_err("a file is in the way")
            }
            Err(error) => error,
        };
        assert!(error.to_string().contains("file"), "{error}");
    }

    #[test]
    fn what_is_no_store_is_replaced() {
        for foreign in [vec![], b"something else".to_vec(), vec![0; 100_000], vec![0xff; 5_000]] {
            let folder = tempfile::tempdir().expect("a folder");
            fs::write(folder.path().join(FILE), &foreign).expect("room");
            let cache = SliceCache::open_in(folder.path()).expect("it is replaced");
            // What may be somebody else's is not lost.
            let aside = fs::read(folder.path().join("slices.set-aside-1"));
            assert_eq!(aside.ok(), (!foreign.is_empty()).then_some(foreign));
            assert!(find(&cache, 1).is_none());
            cache.store(&slice(1));
            cache.flush().expect("it is replaced");
            assert!(find(&cache, 1).is_some());
        }
    }

    #[test]
    fn the_store_of_another_program_is_set_aside() {
        let folder = tempfile::tempdir().expect("a folder");
        let fill = |word: &str| -> Result<(), redb::Error> {
            let database = Database::create(folder.path().join(FILE))?;
            let transaction = database.begin_write()?;
            let table: TableDefinition<'static, &str, &str> = TableDefinition::new("words");
            transaction.open_table(table)?.insert("word", word)?;
            transaction.commit()?;
            Ok(())
        };
        for (word, name) in [("one", "slices.set-aside-1"), ("two", "slices.set-aside-2")] {
            fill(word).expect("room");
            let before = fs::read(folder.path().join(FILE)).expect("it is there");
            let cache = SliceCache::open_in(folder.path()).expect("it is set aside");
            assert_eq!(fs::read(folder.path().join(name)).ok(), Some(before), "{name}");
            cache.store(&slice(1));
            cache.flush().expect("there is room for ours");
            assert!(find(&cache, 1).is_some());
            drop(cache);
            fs::remove_file(folder.path().join(FILE)).expect("it is there");
        }
    }

    #[test]
    fn the_file_of_another_analyzer_counts_as_empty() {
        let folder = filled(&[1]);
        let change = || -> Result<(), redb::Error> {
            let database = Database::open(folder.path().join(FILE))?;
            let transaction = database.begin_write()?;
            transaction.open_table(ABOUT)?.insert("version", "0 of another time")?;
            transaction.commit()?;
            Ok(())
        };
        change().expect("a store");
        let cache = SliceCache::open_in(folder.path()).expect("it is replaced");
        assert!(find(&cache, 1).is_none());
    }

    #[test]
    fn damage_is_never_taken_for_a_slice() {
        let folder = filled(&(0..60).collect::<Vec<_>>());
        let path = folder.path().join(FILE);
        let whole = fs::read(&path).expect("a file");
        let expected: Vec<String> = (0..60).map(|number| text(&slice(number))).collect();
        for step in 0..200_usize {
            let mut damaged = whole.clone();
            let at = step * whole.len() / 200 + step % 97;
            match step % 3 {
                0 => damaged.truncate(at),
                1 => damaged[at] ^= 1 << (step % 8),
                _ => {
                    let end = (at + 300).min(damaged.len());
                    damaged[at..end].fill(0xa5);
                }
            }
            fs::write(&path, &damaged).expect("room");
            let Ok(cache) = SliceCache::open_in(folder.path()) else { continue };
            for (number, expected) in (0..60).zip(&expected) {
                if let Some(found) = find(&cache, number) {
                    assert_eq!(&text(&found), expected, "damage {step}");
                }
            }
            cache.store(&slice(99));
            if cache.flush().is_ok() {
                assert!(find(&cache, 99).is_some(), "damage {step}");
            }
        }
    }

    #[test]
    fn an_entry_is_not_taken_for_another() {
        let (one, two) = (slice(1), slice(2));
        let entry = encode(&key(one.hash, one.variant), &one).expect("memory");
        assert!(decode(&key(one.hash, one.variant), &entry).is_some());
        assert!(decode(&key(two.hash, two.variant), &entry).is_none());
        // With the right checksum, but with a code that is not the one.
        let forged = Slice { code: code(3), ..(*one).clone() };
        let entry = encode(&key(one.hash, one.variant), &forged).expect("memory");
        assert!(decode(&key(one.hash, one.variant), &entry).is_none());
    }

    #[test]
    fn others_are_waited_for_but_not_long() {
        let folder = filled(&[1]);
        let writer = Database::open(folder.path().join(FILE)).expect("a store");
        let start = Instant::now();
        let error = SliceCache::open_in(folder.path()).expect_err("it is in use");
        assert!(matches!(error, CacheError::InUse { .. }), "{error}");
        assert!(start.elapsed() < 10 * PATIENCE);
        drop(writer);
        // Readers do not mind one another, and keep writers out for a while only.
        let first = SliceCache::open_in(folder.path()).expect("nothing is in the way");
        let second = SliceCache::open_in(folder.path()).expect("readers share");
        assert!(find(&first, 1).is_some() && find(&second, 1).is_some());
        first.store(&slice(2));
        assert!(matches!(first.flush(), Err(CacheError::InUse { .. })));
        assert!(find(&first, 1).is_some(), "it goes on reading");
    }
}
