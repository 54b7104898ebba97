-- The event log by days, each event with its effects; who follows it and how far; decisions as pointers into the effects.

CREATE TABLE log_days (
    day date PRIMARY KEY,
    epoch bigint NOT NULL,
    "offset" bigint NOT NULL,
    UNIQUE (epoch, "offset")
);
COMMENT ON TABLE log_days IS 'The first event of each day. Days never go back along the log, so (day, epoch, offset) is its order, too.';

CREATE TABLE log_readers (
    name text PRIMARY KEY,
    epoch bigint NOT NULL,
    "offset" bigint NOT NULL,
    version integer NOT NULL DEFAULT 0,
    state bytea,
    seen timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE log_readers IS 'Everything up to this event is done with. A day that a reader has still to read is never dropped.';

ALTER TABLE event_log RENAME TO event_log_whole;
ALTER INDEX event_log_pkey RENAME TO event_log_whole_pkey;

CREATE TABLE event_log (
    day date NOT NULL,
    epoch bigint NOT NULL,
    "offset" bigint NOT NULL,
    at double precision NOT NULL,
    kind text NOT NULL,
    body bytea NOT NULL,
    effects bytea,
    PRIMARY KEY (day, epoch, "offset")
) PARTITION BY RANGE (day);
COMMENT ON COLUMN event_log.effects IS 'What the engine decided, as msgpack; null for events of before this migration.';

-- A partition for a day, made beside the log and then attached: that waits neither for readers nor for the writer.
CREATE FUNCTION make_log_day(wanted date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    part text := 'event_log_' || to_char(wanted, 'YYYYMMDD');
BEGIN
    IF to_regclass(part) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('make_log_day'));
    IF to_regclass(part) IS NULL THEN
        EXECUTE format('CREATE TABLE %I (LIKE event_log INCLUDING ALL)', part);
        EXECUTE format('ALTER TABLE event_log ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', part, wanted, wanted + 1);
    END IF;
END
$$;

CREATE TEMPORARY TABLE carried ON COMMIT DROP AS
    SELECT max((to_timestamp(at) AT TIME ZONE 'UTC')::date) OVER (ORDER BY epoch, "offset") AS day, epoch, "offset"
    FROM event_log_whole;
INSERT INTO log_days
    SELECT DISTINCT ON (day) day, epoch, "offset" FROM carried ORDER BY day, epoch, "offset";
SELECT make_log_day(day) FROM log_days;
INSERT INTO event_log (day, epoch, "offset", at, kind, body)
    SELECT c.day, e.epoch, e."offset", e.at, e.kind, e.body FROM event_log_whole e JOIN carried c USING (epoch, "offset");
DROP TABLE event_log_whole;

-- The bodies of old decisions go: they are what the engine of then made of the log, and nothing reads them.
DROP TABLE decisions;
CREATE TABLE decisions (
    epoch bigint NOT NULL,
    "offset" bigint NOT NULL,
    index integer NOT NULL,
    contact uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('offer', 'nobody')),
    offer text,
    agent text,
    queue text NOT NULL,
    made timestamptz NOT NULL,
    PRIMARY KEY (epoch, "offset", index)
);
CREATE INDEX decisions_contact ON decisions (contact, epoch, "offset", index);
