-- Where a call came from: its trunk or its address is the way back to the customer.

ALTER TABLE contacts ADD COLUMN trunk text NOT NULL DEFAULT '';
COMMENT ON COLUMN contacts.trunk IS 'The trunk by which the call came.';
ALTER TABLE contacts ADD COLUMN source text NOT NULL DEFAULT '';
COMMENT ON COLUMN contacts.source IS 'The address that the call came from.';
