//! What precompiles cost, without running them.
//!
//! In: the number of a precompile, the rules and its input. Out: its price, from revm's own constants and functions;
//! tested against what revm charges.

use alloy_primitives::U256;
use revm::precompile::{
    PrecompileSpecId, bls12_381_const as bls, bls12_381_utils::msm_required_gas, bn254, identity,
    kzg_point_evaluation, modexp, secp256r1,
};

/// What it costs to call a precompile. None where its input is such that it fails whatever it is given, or where it is
/// not known.
pub(super) fn price(rules: PrecompileSpecId, number: u16, input: &[u8]) -> Option<u64> {
    let words = input.len().div_ceil(32) as u64;
    let is_istanbul = rules.is_enabled_in(PrecompileSpecId::ISTANBUL);
    Some(match number {
        0x01 => 3_000,
        0x02 => 60 + 12 * words,
        0x03 => 600 + 120 * words,
        0x04 => identity::IDENTITY_BASE + identity::IDENTITY_PER_WORD * words,
        0x05 => return exponentiation(rules, input),
        0x06 if is_istanbul => bn254::add::ISTANBUL_ADD_GAS_COST,
        0x06 => bn254::add::BYZANTIUM_ADD_GAS_COST,
        0x07 if is_istanbul => bn254::mul::ISTANBUL_MUL_GAS_COST,
        0x07 => bn254::mul::BYZANTIUM_MUL_GAS_COST,
        0x08 => {
            let pairs = (input.len() / bn254::PAIR_ELEMENT_LEN) as u64;
            if is_istanbul {
                bn254::pair::ISTANBUL_PAIR_BASE + bn254::pair::ISTANBUL_PAIR_PER_POINT * pairs
            } else {
                bn254::pair::BYZANTIUM_PAIR_BASE + bn254::pair::BYZANTIUM_PAIR_PER_POINT * pairs
            }
        }
        // One for each round.
        0x09 => u32::from_be_bytes(*input.first_chunk().filter(|_| input.len() == 213)?).into(),
        0x0a => kzg_point_evaluation::GAS_COST,
        0x0b => bls::G1_ADD_BASE_GAS_FEE,
        0x0c => msm_required_gas(
            whole(input, bls::G1_MSM_INPUT_LENGTH)?,
            &bls::DISCOUNT_TABLE_G1_MSM,
            bls::G1_MSM_BASE_GAS_FEE,
        ),
        0x0d => bls::G2_ADD_BASE_GAS_FEE,
        0x0e => msm_required_gas(
            whole(input, bls::G2_MSM_INPUT_LENGTH)?,
            &bls::DISCOUNT_TABLE_G2_MSM,
            bls::G2_MSM_BASE_GAS_FEE,
        ),
        0x0f => {
            let pairs = whole(input, bls::PAIRING_INPUT_LENGTH)? as u64;
            bls::PAIRING_OFFSET_BASE + bls::PAIRING_MULTIPLIER_BASE * pairs
        }
        0x10 => bls::MAP_FP_TO_G1_BASE_GAS_FEE,
        0x11 => bls::MAP_FP2_TO_G2_BASE_GAS_FEE,
        0x100 if rules.is_enabled_in(PrecompileSpecId::OSAKA) => secp256r1::P256VERIFY_BASE_GAS_FEE_OSAKA,
        0x100 => secp256r1::P256VERIFY_BASE_GAS_FEE,
        _ => return None,
    })
}

/// Whether what a precompile costs depends on more than the length of its input.
pub(super) fn depends_on_input(number: u16) -> bool {
    matches!(number, 0x05 | 0x09)
}

/// How many elements an input holds, if it holds some and nothing else.
fn whole(input: &[u8], element: usize) -> Option<usize> {
    (!input.is_empty() && input.len().is_multiple_of(element)).then(|| input.len() / element)
}

/// `MODEXP`: the lengths of base, exponent and modulus come first.
fn exponentiation(rules: PrecompileSpecId, input: &[u8]) -> Option<u64> {
    let bytes_at = |at: usize| {
        let mut word = [0; 32];
        if let Some(rest) = input.get(at..) {
            let length = rest.len().min(32);
            word[..length].copy_from_slice(&rest[..length]);
        }
        word
    };
    let length = |at: usize| u64::try_from(U256::from_be_bytes(bytes_at(at)));
    let (base, modulus) = (length(0).ok()?, length(64).ok()?);
    let exponent = length(32).unwrap_or(u64::MAX);
    let head = usize::try_from(base).ok().and_then(|base| base.checked_add(96)).map_or([0; 32], bytes_at);
    let used = exponent.min(32) as usize;
    let head = U256::try_from_be_slice(&head[..used])?;
    Some(if rules.is_enabled_in(PrecompileSpecId::OSAKA) {
        if base.max(exponent).max(modulus) > 1_024 {
            return None;
        }
        modexp::osaka_gas_calc(base, exponent, modulus, &head)
    } else if rules.is_enabled_in(PrecompileSpecId::BERLIN) {
        modexp::berlin_gas_calc(base, exponent, modulus, &head)
    } else {
        modexp::byzantium_gas_calc(base, exponent, modulus, &head)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Address;
    use revm::precompile::{PrecompileHalt, PrecompileStatus, Precompiles};

    /// Inputs of many lengths; those of `MODEXP` have small and large lengths in their heads.
    fn inputs() -> Vec<Vec<u8>> {
        let mut inputs: Vec<Vec<u8>> =
            [0, 1, 32, 64, 95, 96, 128, 160, 192, 213, 256, 288, 320, 384, 768, 576]
                .map(|length| vec![0; length])
                .into();
        inputs.push([&[0, 0, 1, 44][..], &[0; 209]].concat());
        for (base, exponent, modulus) in
            [(1, 1, 1), (0, 0, 0), (32, 40, 33), (3, 200, 100), (0, 33, 64), (1_025, 1, 1)]
        {
            let head =
                [base, exponent, modulus].map(|length| U256::from(length).to_be_bytes::<32>()).concat();
            inputs.push([&head[..], &[0x81; 300]].concat());
            inputs.push([&head[..], &[0; 40]].concat());
        }
        inputs
    }

    #[test]
    fn prices_are_those_of_revm() {
        use PrecompileSpecId::{BERLIN, BYZANTIUM, CANCUN, HOMESTEAD, ISTANBUL, OSAKA, PRAGUE};
        let mut compared = 0;
        for rules in [HOMESTEAD, BYZANTIUM, ISTANBUL, BERLIN, CANCUN, PRAGUE, OSAKA] {
            let all = Precompiles::new(rules);
            for number in (1..=0x11).chain([0x100_u16]) {
                let [high, low] = number.to_be_bytes();
                let mut address = Address::with_last_byte(low);
                address.0[18] = high;
                let Some(precompile) = all.get(&address) else { continue };
                for input in inputs() {
                    let starved = |gas| {
                        let status = precompile.execute(&input, gas, 0).expect("it is no fatal error").status;
                        matches!(status, PrecompileStatus::Halt(PrecompileHalt::OutOfGas))
                    };
                    let context = format!("{number:#x} by {rules:?} of {} bytes", input.len());
                    match price(rules, number, &input) {
                        Some(price) if price > 0 && price < 10_000_000 => {
                            assert!(starved(price - 1), "{context}");
                            assert!(!starved(price), "{context}");
                            compared += 1;
                        }
                        Some(_) => {}
                        None => assert!(!starved(0) || number == 5, "{context}"),
                    }
                }
            }
        }
        assert!(compared > 500, "{compared}");
    }
}
