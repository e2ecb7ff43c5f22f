//! temp
use deconflict_executor::audit::*;
use deconflict_executor::*;
use std::path::Path;
struct P(Predictor, Scratch);
impl Predict for P {
    fn predict<S: revm::DatabaseRef>(
        &mut self,
        t: &revm::context::TxEnv,
        b: &revm::context::BlockEnv,
        s: revm::primitives::hardfork::SpecId,
        st: &S,
    ) -> AccessSet {
        self.0.predict_with(&mut self.1, t, b, s, st)
    }
}
fn main() {
    let mut p = P(Predictor::new(), Scratch::default());
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let mode = if args[0] == "block" { StateMode::BlockStart } else { StateMode::Exact };
    args.remove(0);
    let mut r = BlockReader::new(None).unwrap();
    let mut out = vec![];
    for a in &args {
        let b = r.read(Path::new(a)).unwrap();
        out.push(audit_block(&b, mode, &mut p).unwrap());
    }
    println!("{}", human::render(&out, mode));
    std::fs::write("/tmp/audit.json", json::render(&out, mode)).unwrap();
}
