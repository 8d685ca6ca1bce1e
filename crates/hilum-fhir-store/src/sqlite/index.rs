//! Writing the index tables of one resource.

use hilum_db::DbError;
use hilum_db::rusqlite::Connection;

use super::apply::run;
use super::handler::StoreHandler;
use crate::entry::{self, Differs, TableRow};
use crate::prepare::Texts;

/// Writes what the new rows have and the old ones do not, and removes the opposite.
pub(super) fn difference(
    handler: &mut StoreHandler,
    conn: &Connection,
    pk: i64,
    old: &[u8],
    new: &[u8],
) -> Result<(), DbError> {
    let tokens = handler.shared.tokens;
    entry::difference(old, new, &tokens, |row| match row {
        Differs::Gone(row) => remove(handler, conn, pk, row),
        Differs::New(row) => insert(handler, conn, pk, row),
    })
}

fn insert(
    handler: &mut StoreHandler,
    conn: &Connection,
    pk: i64,
    row: &TableRow<'_>,
) -> Result<(), DbError> {
    let token = "INSERT OR IGNORE INTO token VALUES (?, ?, ?, ?)";
    match row {
        TableRow::Token { index, code, extra } => {
            run(handler, conn, token, &[&index.0, code, &pk, extra])?;
        }
        TableRow::Word {
            index,
            code,
            extra,
            text,
        } => {
            run(handler, conn, token, &[&index.0, code, &pk, extra])?;
            if !handler.words.contains(&(index.0, *code)) {
                let word = "INSERT OR IGNORE INTO word VALUES (?, ?, ?)";
                run(handler, conn, word, &[&index.0, text, code])?;
                handler.know_word(index.0, *code);
            }
        }
        TableRow::Span {
            index,
            unit,
            low,
            high,
            wide,
        } => {
            let span = "INSERT OR IGNORE INTO span VALUES (?, ?, ?, ?, ?)";
            run(handler, conn, span, &[&index.0, unit, low, &pk, high])?;
            if *wide {
                let wide = "INSERT OR IGNORE INTO wide VALUES (?, ?, ?, ?, ?)";
                run(handler, conn, wide, &[&index.0, unit, high, &pk, low])?;
            }
        }
    }
    Ok(())
}

fn remove(
    handler: &mut StoreHandler,
    conn: &Connection,
    pk: i64,
    row: &TableRow<'_>,
) -> Result<(), DbError> {
    let token = "DELETE FROM token WHERE param = ? AND code = ? AND pk = ? AND extra = ?";
    match row {
        TableRow::Token { index, code, extra } => {
            run(handler, conn, token, &[&index.0, code, &pk, extra])?;
        }
        TableRow::Word {
            index,
            code,
            extra,
            text,
        } => {
            run(handler, conn, token, &[&index.0, code, &pk, extra])?;
            let word = "DELETE FROM word WHERE param = ?1 AND text = ?2 AND NOT EXISTS \
                        (SELECT 1 FROM token WHERE param = ?1 AND code = ?3)";
            if run(handler, conn, word, &[&index.0, text, code])? > 0 {
                handler.words.remove(&(index.0, *code));
            }
        }
        TableRow::Span {
            index,
            unit,
            low,
            high,
            wide,
        } => {
            let span =
                "DELETE FROM span WHERE param = ? AND unit = ? AND low = ? AND pk = ? AND high = ?";
            run(handler, conn, span, &[&index.0, unit, low, &pk, high])?;
            if *wide {
                let wide = "DELETE FROM wide WHERE param = ? AND unit = ? AND high = ? AND pk = ? AND low = ?";
                run(handler, conn, wide, &[&index.0, unit, high, &pk, low])?;
            }
        }
    }
    Ok(())
}

/// Makes `text` the full text of a resource, which `may` have had another one.
pub(super) fn write_text(
    handler: &StoreHandler,
    conn: &Connection,
    pk: i64,
    text: Option<&Texts>,
    may: bool,
) -> Result<(), DbError> {
    if may {
        run(
            handler,
            conn,
            "DELETE FROM fulltext WHERE rowid = ?",
            &[&pk],
        )?;
    }
    if let Some(Texts { narrative, content }) = text
        && !(narrative.is_empty() && content.is_empty())
    {
        let sql = "INSERT INTO fulltext (rowid, narrative, content) VALUES (?, ?, ?)";
        run(handler, conn, sql, &[&pk, narrative, content])?;
    }
    Ok(())
}
