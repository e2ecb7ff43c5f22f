//! Reads block files, finds the codes that they name, and checks what can be checked without executing.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use alloy_primitives::{B256, KECCAK256_EMPTY};
use revm::{bytecode::Bytecode, primitives::hardfork::SpecId};

use super::{
    Account, Block, Expected, Header,
    bytes::{read_bytes, text},
    codes::{CodeStore, check},
    error::BlockError,
    format::{AccountFile, BlockFile, ExpectedFile, FORMAT, HeaderFile, ReadTransaction},
    other,
};
use crate::chain::fork;

/// The name of the code file that blocks of a folder share.
const SHARED_CODES: &str = "codes.jsonl.zst";

/// Reads block files; a code file that several of them share is read once.
///
/// ```
/// use std::path::Path;
///
/// use deconflict_executor::{BlockReader};
///
/// let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/blocks/2-tokens.json");
/// let block = BlockReader::default().read(Path::new(file))?;
/// assert_eq!(block.number, 2);
/// assert!(!block.transactions.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct BlockReader {
    given: Option<Arc<CodeStore>>,
    found: BTreeMap<PathBuf, Arc<CodeStore>>,
}

impl BlockReader {
    /// A reader that takes the codes that a block file does not hold from `codes` or, without it, from
    /// `codes.jsonl.zst` in the folder of the block file or the one above.
    pub fn new(codes: Option<&Path>) -> Result<Self, BlockError> {
        let given = codes.map(CodeStore::read).transpose()?.map(Arc::new);
        Ok(Self { given, found: BTreeMap::new() })
    }

    /// Reads one block.
    pub fn read(&mut self, file: &Path) -> Result<Block, BlockError> {
        let bytes = read_bytes(file)?;
        self.parse(file, &bytes)
    }

    /// Makes a block of JSON; `file` is where it is from, for errors and for the search for codes.
    pub fn parse(&mut self, file: &Path, bytes: &[u8]) -> Result<Block, BlockError> {
        let bytes = &*text(file, bytes)?;
        let content: BlockFile<ReadTransaction> =
            serde_json::from_slice(bytes).map_err(|_| locate(file, bytes))?;
        let field = |field: &str, problem: String| BlockError::Field {
            file: file.to_owned(),
            field: field.to_owned(),
            problem,
        };
        if content.format != FORMAT {
            let problem = format!("it is {}, and only {FORMAT} can be read", content.format);
            return Err(field("format", problem));
        }
        let spec = fork(&content.spec).map_err(|problem| field("spec", problem))?;
        let header = header(spec, &content.header)
            .map_err(|(name, problem)| field(&format!("header.{name}"), problem))?;
        let mut codes = BTreeMap::new();
        for (hash, code) in content.codes {
            codes.insert(hash, check(file, || format!("codes.{hash}"), hash, code)?);
        }
        let mut pre_state = BTreeMap::new();
        for (address, account) in content.pre_state {
            let account = account_of(account);
            let hash = account.code_hash;
            let known = hash == KECCAK256_EMPTY || codes.contains_key(&hash);
            if !known && !content.code_absent.contains(&hash) {
                let code = self.find(file, hash, || format!("pre_state.{address}.code_hash"))?;
                codes.insert(hash, code);
            }
            pre_state.insert(address, account);
        }
        Ok(Block {
            number: content.number,
            chain_id: content.chain_id,
            spec,
            header,
            expected: expected(&content.expected),
            block_hashes: content.block_hashes,
            transactions: content.transactions.into_iter().map(|it| it.0).collect(),
            pre_state,
            codes,
            code_absent: content.code_absent,
        })
    }

    /// Finds a code that a block file does not hold itself.
    fn find(&mut self, file: &Path, hash: B256, field: impl Fn() -> String) -> Result<Bytecode, BlockError> {
        let store = match &self.given {
            Some(given) => Some(Arc::clone(given)),
            None => self.shared(file)?,
        };
        let found = store.as_ref().map(|store| store.get(hash)).transpose()?.flatten();
        found.ok_or_else(|| BlockError::CodeMissing {
            file: file.to_owned(),
            field: field(),
            hash,
            searched: store.map(|store| store.file().to_owned()),
        })
    }

    /// The code file that stands beside a block file or one folder above.
    fn shared(&mut self, file: &Path) -> Result<Option<Arc<CodeStore>>, BlockError> {
        let folder = file.parent().unwrap_or(Path::new(""));
        let here = folder.join(SHARED_CODES);
        // `..` instead of the parent's name: the folder may be given as `.`, or by a link.
        let above = folder.join("..").join(SHARED_CODES);
        for path in [here, above] {
            if let Some(known) = self.found.get(&path) {
                return Ok(Some(Arc::clone(known)));
            }
            if path.is_file() {
                let store = Arc::new(CodeStore::read(&path)?);
                self.found.insert(path, Arc::clone(&store));
                return Ok(Some(store));
            }
        }
        Ok(None)
    }
}

/// Reads once more to find out which field is wrong, which is too slow to be done for files that are right.
fn locate(file: &Path, bytes: &[u8]) -> BlockError {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let result = serde_path_to_error::deserialize::<_, BlockFile<ReadTransaction>>(&mut deserializer);
    let (field, problem) = if let Err(error) = result {
        (error.path().to_string(), error.into_inner().to_string())
    } else {
        let rest = deserializer.end().err().map(|error| error.to_string());
        (".".to_owned(), rest.unwrap_or_else(|| "it is not a block".to_owned()))
    };
    if let Some(what) = other::kind(bytes) {
        return BlockError::OtherKind { file: file.to_owned(), what };
    }
    let whole = matches!(&*field, "." | "?");
    let field = if whole { "the file as a whole".to_owned() } else { field };
    BlockError::Field { file: file.to_owned(), field, problem }
}

fn header(spec: SpecId, file: &HeaderFile) -> Result<Header, (&'static str, String)> {
    let needed = |name: &'static str, present: bool, since: SpecId| {
        let problem = || (name, format!("it is missing, and blocks have it since {since:?}"));
        if present || !spec.is_enabled_in(since) { Ok(()) } else { Err(problem()) }
    };
    needed("prev_randao", file.prev_randao.is_some(), SpecId::MERGE)?;
    needed("excess_blob_gas", file.excess_blob_gas.is_some(), SpecId::CANCUN)?;
    needed("blob_base_fee", file.blob_base_fee.is_some(), SpecId::CANCUN)?;
    let blob_base_fee = file
        .blob_base_fee
        .map(|fee| u128::try_from(fee).map_err(|_| ("blob_base_fee", "it does not fit 128 bits".to_owned())))
        .transpose()?;
    Ok(Header {
        hash: file.hash,
        parent_hash: file.parent_hash,
        coinbase: file.coinbase,
        timestamp: file.timestamp,
        gas_limit: file.gas_limit,
        base_fee: file.base_fee,
        difficulty: file.difficulty,
        prev_randao: file.prev_randao,
        excess_blob_gas: file.excess_blob_gas,
        blob_base_fee,
        parent_beacon_block_root: file.parent_beacon_block_root,
        max_blobs: file.max_blobs,
    })
}

fn expected(file: &ExpectedFile) -> Expected {
    Expected {
        gas_used: file.gas_used,
        receipts_root: file.receipts_root,
        logs_bloom: file.logs_bloom,
        state_root: file.state_root,
        transactions_root: file.transactions_root,
        blob_gas_used: file.blob_gas_used,
    }
}

fn account_of(file: AccountFile) -> Account {
    Account {
        balance: file.balance,
        nonce: file.nonce,
        code_hash: file.code_hash.filter(|hash| !hash.is_zero()).unwrap_or(KECCAK256_EMPTY),
        storage: file.storage,
    }
}
