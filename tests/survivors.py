"""The mutants that `make mutation` cannot kill, because they do not change what the service does, and why.

They are written as mutation.py prints them, without the line number.
"""

SURVIVORS = {
    "only its truth value is used": [
        'database/failures.py: "" -> None',
        "http/body.py: False -> None",
        "http/errors.py: False -> None",
        "database/connection.py: False -> None",
        "database/startup.py: False -> None",
        'database/startup.py: "" -> None',
        "database/pool.py: False -> None",
        "database/results.py: False -> None",
        'database/schema.py: "" -> None',
    ],
    "it is overwritten before it is read": [
        "auth/keyset.py: 0.0 -> None",
        "database/connection.py: 0.0 -> None",
        "database/startup.py: \"\" -> ('XX')",
        "database/connection.py: 0.0 -> (1.0)",
    ],
    "a limit, or one more": [
        "http/body.py: 0 -> (1)",  # bytes; as the place of a JSON error, nobody is told
        "database/connection.py: seconds < SHORTEST_TIMEOUT -> (seconds <= SHORTEST_TIMEOUT)",
        "database/connection.py: 0.5 -> (1.5)",
        "database/startup.py: 0.1 -> (1.1)",
        "database/executor.py: 0.0 -> (1.0)",
        "database/pool.py: self._idle[0].last_used <= connection.last_used"
        " -> (self._idle[0].last_used < connection.last_used)",
        "database/adoption.py: 10 -> (11)",
        "database/adoption.py: 100_000 -> (100001)",
        "database/adoption.py: 18 -> (19)",
        "cli/adopt.py: 1 -> (2)",
    ],
    "the name of a column that is not used by its name": [
        "database/adoption.py: f\"SELECT pg_get_indexdef(to_regclass('{INDEX}'))\""
        " -> (f\"SELECT pg_get_indexdef(to_regclass('{INDEX}'))\" + 'XX')",
        'database/adoption.py: f"{largest} + row_number() OVER (ORDER BY created_at, old_id, place)"'
        " -> (f'{largest} + row_number() OVER (ORDER BY created_at, old_id, place)' + 'XX')",
        "database/migrations/versions/0002_limit_ids.py: \"SELECT pg_get_serial_sequence('tasks', 'id')\""
        " -> (\"SELECT pg_get_serial_sequence('tasks', 'id')XX\")",
        'database/adoption_plan.py: f"SELECT EXISTS (SELECT FROM {found.table})"'
        " -> (f'SELECT EXISTS (SELECT FROM {found.table})' + 'XX')",
    ],
    "only speed": [
        "database/adoption.py: 0 -> (1)",  # of 1 row or none there is one batch
        "database/adoption_plan.py: rows.select(found.table, at_once=True) -> (rows.select(found.table))",
        "database/adoption_plan.py: rows.select(table, at_once=True) -> (rows.select(table))",
        "database/adoption_plan.py: True -> (False)",
        # The type hstore is looked up at the first session.
        'database/engine.py: create_async_engine( "postgresql+psycopg://", async_creator=borrow,'
        " poolclass=NullPool, hide_parameters=True, # in errors, and so in the log"
        " use_native_hstore=False, # looking hstore up is a round trip )"
        " -> (create_async_engine('postgresql+psycopg://', async_creator=borrow, poolclass=NullPool,"
        " hide_parameters=True))",
        "database/engine.py: False -> (True)",
        "database/old_rows.py: False -> (True)",
    ],
    "not used where there are no rows, or no owners": ["database/adoption_plan.py: 0 -> (1)"],
    "0 is the only protocol that a TCP or Unix socket knows, and it has its own already": [
        "database/results.py: 0 -> (1)",
    ],
    "flush() has nothing more to send": [
        "database/results.py: self._pgconn.flush() > 0 -> (self._pgconn.flush() >= 0)",
        "database/results.py: False -> (True)",
    ],
    "recv() only looks, whatever the number of bytes": ["database/results.py: 1 -> (2)"],
    "the last result counts, whatever is left of an earlier query": [
        "database/results.py: self._results.clear() -> pass"
    ],
    "the text that is not JSON is not told": ["http/body.py: \"\" -> ('XX')"],
    "any name will do where there is one host": ["database/failures.py: \"\" -> ('XX')"],
    "the texts are looked for in it, and their ends are not": ["database/failures.py: r\"\\2\" -> ('\\\\2XX')"],
    "wait() raises the same": ["database/results.py: raise -> pass"],
    "a pause that makes a race with a server that stops less likely": [
        "database/executor.py: 0.05 -> (1.05)",
        "database/executor.py: await asyncio.sleep(LOST_PAUSE) -> pass",
    ],
    "FastAPI handles what this file does not": [
        "http/endpoints.py: False -> None",
        "http/endpoints.py: \"\" -> ('XX')",
        "http/endpoints.py: raise InvalidRequest from None -> pass",
    ],
    "psycopg needs that event loop on Windows": [
        "cli/adopt.py: asyncio.Runner(loop_factory=SelectorEventLoop) -> (asyncio.Runner())",
    ],
    "both are set, or neither": [
        "auth/verifier.py: self.issuer is None or self._key_set is None"
        " -> (self.issuer is None and self._key_set is None)",
    ],
    "what matters is at the beginning": ["http/paths.py: f\"{path}/\" -> (f'{path}/' + 'XX')"],
    "no origin is called XX": ["http/cors.py: \"\" -> ('XX')"],
    "messages.py has the text of this error": [
        'tasks/models.py: "Body should contain title or description"'
        " -> ('Body should contain title or descriptionXX')",
    ],
    "the host is not used: the pool connects": [
        "database/engine.py: \"postgresql+psycopg://\" -> ('postgresql+psycopg://XX')",
    ],
    "any name will do": [
        "database/embedded.py: \"users.lock\" -> ('users.lockXX')",
        "database/embedded.py: \"complete\" -> ('completeXX')",
        "database/embedded.py: 16 -> (17)",
        "database/embedded.py: f\"todo-backend-{digest}\" -> (f'todo-backend-{digest}' + 'XX')",
    ],
    "matters where one program ends in the moment in which another starts": [
        "database/embedded.py: postgres_server.get_server(data, cleanup_mode=None, start=False)"
        " -> (postgres_server.get_server(data, start=False))",
    ],
    "only the time that a second start of a running server takes": [
        "database/embedded.py: postgres_server.get_server(data, cleanup_mode=None, start=False)"
        " -> (postgres_server.get_server(data, cleanup_mode=None))",
        "database/embedded.py: False -> (True)",
    ],
    "any number will do that all processes share": ["database/upgrade.py: 8_362_450_197 -> (8362450198)"],
    "its name is for debugging": ["database/engine.py: \"waited\" -> ('waitedXX')"],
    "after a wait of 1 second, too, the database has its whole time": [
        "database/engine.py: 0.0 -> (1.0)",
        "database/session.py: 0.0 -> (1.0)",
    ],
    "the states are told apart, and have no values": ["database/schema.py: enum.auto() -> None"],
    "there are two versions so far": ["database/schema.py: -1 -> (1)"],
    "neither is the name of a type": ["database/schema.py: \"\" -> ('XX')"],
    "a monotonic clock that is past 0 is past 1": [
        "auth/keyset.py: 0.0 -> (1.0)",
        "database/executor.py: 0.0 -> (1.0)",
    ],
    "a path begins with a slash, and so with no root path of XX": ["http/paths.py: \"\" -> ('XX')"],
    "an id of 100 digits is too large either way": [
        "tasks/routes.py: len(text) < 100 -> (len(text) <= 100)",
        "tasks/routes.py: 100 -> (101)",
    ],
    "SQLModel does not validate the rows of a table, and SQLAlchemy has None for what is not set: the default is"
    " for type checkers": [
        "tasks/models.py: Field( default=None, primary_key=True, sa_type=BigInteger,"
        " sa_column_args=[Identity(maxvalue=MAX_ID)] )"
        " -> (Field(primary_key=True, sa_type=BigInteger, sa_column_args=[Identity(maxvalue=MAX_ID)]))",
        'tasks/models.py: Field(default=False, sa_column_kwargs={"server_default": text("false")})'
        " -> (Field(sa_column_kwargs={'server_default': text('false')}))",
        "tasks/models.py: Field(default=None, max_length=DESCRIPTION_MAX_LENGTH)"
        " -> (Field(max_length=DESCRIPTION_MAX_LENGTH))",
        "tasks/models.py: Field( default=None, nullable=False, sa_type=DateTime(timezone=True),"
        ' sa_column_kwargs={"server_default": func.now()}, )'
        " -> (Field(nullable=False, sa_type=DateTime(timezone=True),"
        " sa_column_kwargs={'server_default': func.now()}))",
    ],
}
