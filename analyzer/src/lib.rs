//! Abstract interpreter over EVM bytecode.
