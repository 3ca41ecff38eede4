"""What `todo-backend check` reads of the session and the tables."""

from dataclasses import dataclass


@dataclass
class Session:
    """The database session. Names are quoted for SQL."""

    version: str
    pid: int
    encoding: str
    role: str
    database: str
    search_path: str
    search_path_source: str
    schema: str | None  # the first of the search path that exists, where tables are made
    may_create: bool
    is_standby: bool
    is_read_only: bool
    read_only_source: str  # what has set it, see READ_ONLY_FIXES in check_tables.py


SESSION = """
SELECT current_setting('server_version') AS version, pg_backend_pid() AS pid,
  current_setting('server_encoding') AS encoding, quote_ident(current_user) AS role,
  quote_ident(current_database()) AS database, current_setting('search_path') AS search_path,
  (SELECT source FROM pg_settings WHERE name = 'search_path') AS search_path_source,
  quote_ident(current_schema()) AS schema,
  coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS may_create,
  pg_is_in_recovery() AS is_standby, setting = 'on' AS is_read_only, source AS read_only_source
FROM pg_settings WHERE name = 'default_transaction_read_only'
"""


@dataclass
class Table:
    """A table with one of our names, in any schema. Names are quoted for SQL."""

    name: str  # with its schema
    schema: str
    owner: str
    is_tasks: bool  # or the version table
    is_visible: bool  # on the search path
    may_use_schema: bool
    is_owner: bool
    missing_privileges: list[str]
    hides_rows: bool  # by row level security
    restrictive_policies: list[str]
    has_primary_key: bool
    is_replicated_by_key: bool  # or not published at all
    sequence: str | None  # that makes the ids, if the role may read it


TABLES = """
SELECT format('%%I.%%I', nspname, relname) AS name, quote_ident(nspname) AS schema,
  quote_ident(pg_get_userbyid(relowner)) AS owner, is_tasks, pg_table_is_visible(c.oid) AS is_visible,
  has_schema_privilege(n.oid, 'USAGE') AS may_use_schema, pg_has_role(relowner, 'USAGE') AS is_owner,
  ARRAY(
    SELECT privilege FROM unnest(
      CASE WHEN is_tasks THEN ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE'] ELSE ARRAY['SELECT'] END
    ) AS privilege WHERE NOT has_table_privilege(c.oid, privilege)
  ) AS missing_privileges,
  row_security_active(c.oid) AND NOT (lets_all_rows_pass AND restrictive_policies = '{}') AS hides_rows,
  restrictive_policies, has_primary_key,
  relreplident IN ('f', 'i') OR (relreplident = 'd' AND has_primary_key) OR NOT EXISTS (
    SELECT FROM pg_publication_tables AS published JOIN pg_publication USING (pubname)
    WHERE (published.schemaname, tablename) = (nspname, relname) AND (pubupdate OR pubdelete)
  ) AS is_replicated_by_key,
  (
    SELECT seqrelid::regclass::text FROM pg_sequence JOIN pg_depend ON objid = seqrelid
    JOIN pg_attribute ON attrelid = refobjid AND attnum = refobjsubid
    WHERE refobjid = c.oid AND attname = 'id' AND deptype IN ('a', 'i')
      AND has_sequence_privilege(seqrelid, 'SELECT')
  ) AS sequence
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
CROSS JOIN LATERAL (
  SELECT relname = 'tasks' AS is_tasks,
    EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisprimary) AS has_primary_key
) AS is_ours
CROSS JOIN LATERAL (
  SELECT coalesce(array_agg(quote_ident(polname)) FILTER (WHERE NOT polpermissive AND NOT is_true), '{}')
      AS restrictive_policies,
    coalesce(bool_or(polcmd = '*') FILTER (WHERE polpermissive AND is_true), false)
      OR count(DISTINCT polcmd) FILTER (WHERE polpermissive AND is_true) = 4 AS lets_all_rows_pass
  FROM pg_policy CROSS JOIN LATERAL (
    SELECT coalesce(pg_get_expr(polqual, polrelid), 'true') = 'true'
      AND coalesce(pg_get_expr(polwithcheck, polrelid), 'true') = 'true' AS is_true
  ) AS expressions
  WHERE polrelid = c.oid AND EXISTS (SELECT FROM unnest(polroles) AS r WHERE r = 0 OR pg_has_role(r, 'USAGE'))
) AS policies
WHERE relname IN ('tasks', %s) AND relkind IN ('r', 'p') AND nspname !~ '^pg_|^information_schema$'
ORDER BY is_visible DESC, is_tasks DESC, name
"""
