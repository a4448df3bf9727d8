//! Objects that strangers may read, and settings of the database that are risks: for the probe and for doctor.
//!
//! Invariant: each risk says what to do about it, and holds no name of the database.

use tokio_postgres::Row;

/// Its clock, whether roles that others hold may read the table (everybody's, and those behind the data API of Supabase), and the
/// settings that are risks.
pub const INSPECT: &str = "select (extract(epoch from clock_timestamp()) * 1000)::bigint, \
    (not its.relrowsecurity or exists (select 1 from pg_policy where polrelid = its.oid)) \
    and exists (select 1 from (select 'public' as role union all select rolname::text from pg_roles \
    where rolname in ('anon', 'authenticated')) as other \
    where has_schema_privilege(role, $1, 'usage') and has_table_privilege(role, its.oid, 'select')), \
    current_setting('fsync') = 'off', current_setting('full_page_writes') = 'off', \
    current_setting('synchronous_commit'), current_setting('synchronous_standby_names') <> '', \
    (select count(*) from pg_stat_activity where backend_type = 'client backend'), \
    current_setting('max_connections')::bigint \
    from pg_class as its where its.oid = to_regclass($2)";

/// Risks of the settings in an answer to [`INSPECT`].
pub fn risks(row: &Row) -> Vec<String> {
    let mut risks = Vec::new();
    if row.get(2) {
        risks.push("fsync is off: a crash of the server can destroy the database; turn it on".to_owned());
    }
    if row.get(3) {
        risks.push("full_page_writes is off: a power cut can damage the table; turn it on".to_owned());
    }
    match (row.get(4), row.get(5)) {
        ("off", _) => risks.push(
            "synchronous_commit is off: a crash of the server loses up to a second of acknowledged writes; turn it on for this role"
                .to_owned(),
        ),
        ("local", true) => risks.push(
            "synchronous_commit is local: a failover to the replica loses acknowledged writes; set it to on for this role".to_owned(),
        ),
        _ => {}
    }
    let (used, most): (i64, i64) = (row.get(6), row.get(7));
    if used * 10 >= most * 9 {
        risks.push(format!(
            "{used} of {most} connections of the server are in use: raise max_connections, or connect through its pooler"
        ));
    }
    risks
}
