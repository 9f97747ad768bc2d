//! The statements, by what they are about.

mod acceptance;
mod committing;
mod deleting;
mod fetch_sessions;
mod groups;
mod hostile;
mod markers;
mod reading;
mod sequences;
mod topics;
mod transactions;

use crate::runs::Statement;

/// Makes a test on the emulator of each statement, and a list of all for the real brokers.
macro_rules! statements {
    ($($name:ident),+ $(,)?) => {
        $crate::statements::statements!(&[]; statements: $($name),+);
    };
    ($settings:expr; $list:ident: $($name:ident),+ $(,)?) => {
        pub fn $list() -> Vec<$crate::runs::Statement> {
            vec![$((stringify!($name), $name as fn(&mut $crate::world::World))),+]
        }

        mod $list {
            $(#[test]
            fn $name() {
                $crate::runs::on_emulator($settings, super::$name);
            })+
        }
    };
}

use statements;

/// Those for brokers with the usual memory.
pub fn all() -> Vec<Statement> {
    [
        sequences::statements(),
        acceptance::statements(),
        markers::statements(),
        reading::statements(),
        fetch_sessions::statements(),
        deleting::statements(),
        topics::statements(),
        groups::statements(),
        committing::statements(),
        transactions::statements(),
        hostile::statements(),
    ]
    .concat()
}

/// Those for brokers that forget soon.
pub fn forgetful() -> Vec<Statement> {
    [sequences::forgetful(), transactions::forgetful()].concat()
}
