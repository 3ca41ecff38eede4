"""The fixes of database errors, printed by the log and by `todo-backend check`; failures.py looks them up."""

OTHER_SEARCH_PATH = (
    "If nobody dropped it, a client left another search_path on a connection of the pooler, as restoring a dump"
    " does: restart the pooler (with Neon the compute), and give such a client the host without -pooler."
)
# By SQLSTATE.
REJECTED_STATEMENTS = {
    "08P01": "Set pool_mode = transaction in pgbouncer.ini, or connect without this pooler.",  # statement mode
    "23505": "The next id is taken. `todo-backend check` prints the statement that corrects it.",
    "3F000": "`todo-backend check` prints the statement that adds a schema.",
    "42501": "`todo-backend check` prints the statement that gives the privilege.",
    "55000": "`todo-backend check` prints the statement that sets the replica identity.",
}

# By text of Neon, PostgreSQL, PgBouncer and libpq when they reject a connection. The first match counts.
REJECTED_CONNECTIONS = {
    # Neon
    "connection is insecure": "Add sslmode=require&channel_binding=require to DATABASE_URL.",
    "VPC endpoint ID|from a blocked network": "Allow this network in the Neon console, under Network Security.",
    "endpoint ID is not specified": (
        "In DATABASE_URL, use the host name from the Neon console, not its IP address, and leave sslsni=0 out."
    ),
    r"IP address \S+ is not allowed": "Add this address in the Neon console, under Network Security, IP Allow.",
    "endpoint (could not|cannot) be found|project name|common name inferred": (
        "Copy the connection string from the Neon console again."
    ),
    "unsupported authentication method|malformed password message": (
        "Copy the connection string from the Neon console again, with its password."
    ),
    # The user and the database
    "no password supplied|empty password": "Add the password to DATABASE_URL.",
    "pg_hba.conf": (
        'Allow this user, database and address in the server\'s pg_hba.conf. If it says "no encryption", add'
        " sslmode=require to DATABASE_URL."
    ),
    "permission denied for database": "Let the owner of the database run GRANT CONNECT ON DATABASE.",
    "channel binding": (
        "Connect to a server or pooler that can do channel binding, as Neon's can, or leave channel_binding=require"
        " out of DATABASE_URL."
    ),
    "client certificate|did not request an SSL certificate|valid SSL certificate": (
        "Set sslcert, sslkey and sslcertmode in DATABASE_URL to what the server asks for."
    ),
    "authentication failed|no such user": (
        "Correct the user and the password in DATABASE_URL. In these, characters such as @ : / ? # % must be"
        " percent-encoded."
    ),
    'role ".*" (does not exist|is not permitted to log in)': (
        "Correct the user in DATABASE_URL, or let an administrator run CREATE ROLE, or ALTER ROLE with LOGIN."
    ),
    'database ".*" does not exist|no such database|invalid database': (
        "Correct the name of the database in DATABASE_URL, or run CREATE DATABASE."
    ),
    # Parameters of the URL
    "authentication method requirement": "Correct require_auth in DATABASE_URL, or leave it out.",
    "SSL required": "Set sslmode in DATABASE_URL to require.",
    "does not support SSL": "For a server without TLS, leave sslmode and channel_binding out of DATABASE_URL.",
    "GSSAPI encryption": "Leave gssencmode out of DATABASE_URL.",
    "root certificate": "Correct sslrootcert in DATABASE_URL. sslrootcert=system uses the system's certificates.",
    "does not match host name|certificate verify failed": (
        "In DATABASE_URL, use the host name that the server's certificate has, and set sslrootcert to the"
        " certificate of the authority that signed it."
    ),
    "certificate|private key": "Correct sslcert and sslkey in DATABASE_URL, or leave them out.",
    "ALPN|wrong version number|sslnegotiation=direct": (
        "Leave sslnegotiation=direct out of DATABASE_URL: only Neon and PostgreSQL 17 or newer can do it."
    ),
    "SSL error: (?!.*(unexpected eof|internal error))": (  # which a server that is down can cause, too
        "Correct the parameters of DATABASE_URL that begin with ssl, or leave them out."
    ),
    "requirepeer|peer credentials": "Correct requirepeer in DATABASE_URL, or leave it out.",
    "authentication( method .*)? not supported|SASL authentication mechanisms|OAuth": (
        "Let the server's pg_hba.conf say scram-sha-256 for this user."
    ),
    "unsupported startup parameter": (
        "Remove this parameter from DATABASE_URL, or use Neon's host without -pooler: the pooler does not know it."
    ),
    "unrecognized configuration parameter|invalid value for|requires a .*value|cannot be (changed|set)|"
    "permission denied to set|invalid command-line argument": (
        "Correct options in DATABASE_URL, or the variable PGOPTIONS, or leave them out."
    ),
    "protocol version|bad packet header|unsupported (frontend )?protocol": (
        "Leave min_protocol_version and max_protocol_version out of DATABASE_URL."
    ),
    "response to SSL negotiation|expected authentication request": (
        "Correct the host and the port in DATABASE_URL: what answers there is not PostgreSQL."
    ),
}
REJECTED_PARAMETER = "Correct this parameter of DATABASE_URL, or leave it out."

# By text of an outage. The first match counts.
OUTAGES = {
    "quota|exceeded": (
        "Look at the limits of your plan in the Neon console. The service retries until Neon accepts it."
    ),
    "endpoint (is|has been) disabled": "Enable the compute in the Neon console. The service retries until then.",
    "too many|connection slots|no more connections": (
        "Lower DATABASE_POOL_SIZE or the number of workers, or use Neon's host with -pooler in DATABASE_URL."
    ),
    "failed to resolve host": "Correct the host in DATABASE_URL, or the network.",
    "starting up|shutting down|recovery mode|not yet accepting|not currently accepting": "Wait, and try again.",
    "not read-only|not in hot standby": "Leave target_session_attrs out of DATABASE_URL.",
    "read-only transaction": "`todo-backend check` prints the statement that allows writes.",
    "read-only|hot standby": "Use the host of the primary in DATABASE_URL, not that of a standby or read replica.",
}
ANSWERED = "If the server rejects the user or the database, correct DATABASE_URL. The service retries."
REACH = "Check that the server runs, and that the host and port of DATABASE_URL can be reached from here."
