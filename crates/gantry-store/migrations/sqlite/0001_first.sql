-- Everything the control plane keeps. Times are milliseconds since the Unix epoch, booleans are 0
-- or 1, documents are JSON as text, sealed values are text (see `seal.rs`). Only the subset of SQL
-- that PostgreSQL understands too.

CREATE TABLE tenants (
    name            TEXT   NOT NULL PRIMARY KEY,
    generation      BIGINT NOT NULL,
    sealed_data_key TEXT   NOT NULL,
    created_at_ms   BIGINT NOT NULL
);

CREATE TABLE resources (
    tenant        TEXT   NOT NULL REFERENCES tenants (name),
    family        TEXT   NOT NULL,
    name          TEXT   NOT NULL,
    kind          TEXT   NOT NULL,
    generation    BIGINT NOT NULL,
    spec          TEXT   NOT NULL,
    authored      TEXT   NOT NULL,
    created_by    TEXT   NOT NULL,
    created_at_ms BIGINT NOT NULL,
    updated_at_ms BIGINT NOT NULL,
    PRIMARY KEY (tenant, family, name)
);

CREATE TABLE secrets (
    tenant        TEXT   NOT NULL REFERENCES tenants (name),
    reference     TEXT   NOT NULL,
    owner         TEXT   NOT NULL,
    sealed        TEXT   NOT NULL,
    updated_at_ms BIGINT NOT NULL,
    PRIMARY KEY (tenant, reference)
);

CREATE TABLE tokens (
    id            TEXT   NOT NULL PRIMARY KEY,
    tenant        TEXT   NOT NULL REFERENCES tenants (name),
    sha256        TEXT   NOT NULL UNIQUE,
    purpose       TEXT   NOT NULL,
    name          TEXT   NOT NULL,
    subject       TEXT   NOT NULL,
    format        TEXT   NOT NULL,
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT,
    revoked_at_ms BIGINT
);

CREATE INDEX tokens_by_subject ON tokens (tenant, subject);

CREATE TABLE users (
    tenant        TEXT   NOT NULL REFERENCES tenants (name),
    email         TEXT   NOT NULL,
    admin         BIGINT NOT NULL,
    teams         TEXT   NOT NULL,
    created_at_ms BIGINT NOT NULL,
    PRIMARY KEY (tenant, email)
);

-- Deeds are numbered per tenant: several fall into one millisecond.
CREATE TABLE audit (
    tenant TEXT   NOT NULL REFERENCES tenants (name),
    number BIGINT NOT NULL,
    at_ms  BIGINT NOT NULL,
    actor  TEXT   NOT NULL,
    action TEXT   NOT NULL,
    kind   TEXT   NOT NULL,
    name   TEXT   NOT NULL,
    before TEXT,
    after  TEXT,
    PRIMARY KEY (tenant, number)
);
