-- The table of baileys-hybrid-auth, for PostgreSQL 13 or later. It can be run again at any time, by a role that may create a schema in
-- this database, or that owns the schema already. To give the table to another role than the one that runs this, see the last lines.

-- One at a time: services that start together would create the same things at the same moment. The schema is created only where it is
-- missing, because `create schema if not exists` needs the right to create one even where it is there.
do $$
begin
  perform pg_advisory_xact_lock(hashtext('baileys-hybrid-auth'));
  if to_regnamespace('{schema}') is null then
    create schema {schema};
  end if;
end
$$;

-- A row per object. Names are compared as bytes ("C"), because listings are ranges of them; the language of a database may sort otherwise.
create table if not exists {schema}.objects (
  folder    text  collate "C" not null,
  name      text  collate "C" not null,
  bytes     bytea not null,
  stored_at timestamptz not null default clock_timestamp(),
  primary key (folder, name)
);

-- The bytes are compressed and encrypted: another compression would only cost time.
alter table {schema}.objects alter column bytes set storage external;

-- Nobody but the owner of the table and roles that bypass row level security: there is no policy. A data API, such as that of Supabase,
-- must not hand out this table, and would not even if the schema were exposed to it.
alter table {schema}.objects enable row level security;
revoke all on {schema}.objects from public;
revoke all on schema {schema} from public;

comment on table {schema}.objects is 'Encrypted WhatsApp sessions of baileys-hybrid-auth. Rows are removed by it alone: a row that is missing ends a session.';

-- For a role of its own that does not own the table, replace `app` and run these too:
--
--   grant usage on schema {schema} to app;
--   grant select, insert, update, delete on {schema}.objects to app;
--   create policy service on {schema}.objects to app using (true) with check (true);
