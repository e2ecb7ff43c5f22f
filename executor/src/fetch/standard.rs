//! Names for the ways in which proxies know what they forward to.
//!
//! In: the code of a proxy, and the slots that its target was computed from. Out: a name for a reader. Nothing is decided
//! by it: a proxy of no standard is followed like any other.

use std::fmt;

use alloy_primitives::{Address, U256, hex, keccak256, uint};
use deconflict_analyzer::standards::IMPLEMENTATION_SLOT;

/// How a proxy knows what it forwards to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standard {
    /// A delegation of EIP-7702.
    Delegation,
    /// A minimal proxy with a name, whose target stands in its code.
    Minimal(&'static str),
    /// A target in the code.
    Code,
    /// A slot that a standard fixes.
    Slot(&'static str, U256),
    /// Any other slot.
    OtherSlot(U256),
    /// It asks this account.
    Beacon(Address),
    /// It is computed from several words of the state.
    State,
}

/// Where proxies of the time before ERC-1967 keep it.
const EARLIER: U256 = uint!(0x7050c9e0f4ca769c69bd3a8ef740bc37934f8e2c036e5a723fd8ee048ed3f8c3_U256);
/// Minimal proxies that have a name, by what stands before the target.
const MINIMAL: &[(&[u8], &str)] = &[
    (&hex!("363d3d373d3d3d363d"), "ERC-1167"),
    (&hex!("363d3d373d3d3d3d60368038038091363936013d73"), "ERC-3448"),
    (&hex!("365f5f375f5f365f73"), "ERC-7511"),
    (&hex!("3d3d3d3d363d3d37363d73"), "the minimal proxy of 0age"),
    (&hex!("366000600037611000600036600073"), "Vyper's minimal proxy"),
];

/// Where ERC-1822 keeps it.
fn proxiable() -> U256 {
    keccak256("PROXIABLE").into()
}

impl Standard {
    /// The slots that standards fix for the target itself.
    pub(super) const SLOTS: [U256; 2] = [IMPLEMENTATION_SLOT, EARLIER];

    /// The name for a target that was computed from these slots, or that a beacon has told.
    pub(super) fn of(code: &[u8], slots: &[U256], beacon: Option<Address>) -> Self {
        if let Some(beacon) = beacon {
            return Self::Beacon(beacon);
        }
        match *slots {
            [] => {
                let named = MINIMAL.iter().find(|(head, _)| code.starts_with(head));
                named.map_or(Self::Code, |(_, name)| Self::Minimal(name))
            }
            [IMPLEMENTATION_SLOT] => Self::Slot("ERC-1967", IMPLEMENTATION_SLOT),
            [EARLIER] => Self::Slot("proxies before ERC-1967", EARLIER),
            [slot] if slot == proxiable() => Self::Slot("ERC-1822", slot),
            // What a Safe's proxy answers itself: `masterCopy()`.
            [U256::ZERO] if code.windows(4).any(|it| it == hex!("a619486e")) => {
                Self::Slot("Safe", U256::ZERO)
            }
            [slot] => Self::OtherSlot(slot),
            _ => Self::State,
        }
    }
}

impl fmt::Display for Standard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delegation => f.write_str("EIP-7702 delegation"),
            Self::Minimal(name) => f.write_str(name),
            Self::Code => f.write_str("target in its code"),
            Self::Slot(name, slot) => write!(f, "{name}, slot {slot:#x}"),
            Self::OtherSlot(slot) => write!(f, "slot {slot:#x}"),
            Self::Beacon(beacon) => write!(f, "beacon {beacon}"),
            Self::State => f.write_str("computed from its state"),
        }
    }
}
