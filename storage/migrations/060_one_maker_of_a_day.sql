-- to_regclass remembers that a name was unknown, also over the wait for the lock: who had waited made the partition again.
CREATE OR REPLACE FUNCTION make_log_day(wanted date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    part text := 'event_log_' || to_char(wanted, 'YYYYMMDD');
BEGIN
    IF to_regclass(part) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('make_log_day'));
    IF NOT EXISTS (
        SELECT FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        WHERE inhparent = 'event_log'::regclass AND relname = part
    ) THEN
        EXECUTE format('CREATE TABLE %I (LIKE event_log INCLUDING ALL)', part);
        EXECUTE format('ALTER TABLE event_log ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', part, wanted, wanted + 1);
    END IF;
END
$$;
