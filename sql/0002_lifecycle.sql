-- The order's life after its commit: payment, expiry, cancellation, and what the shop is told. MySQL 8.0+ and MariaDB 10.6+.

ALTER TABLE products
    ADD COLUMN payment_timeout INT UNSIGNED NULL COMMENT 'seconds to pay; NULL: as the worker is configured' AFTER max_quantity;

ALTER TABLE orders
    ADD COLUMN payment_id VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'of the payment that counts' AFTER pay_by,
    ADD COLUMN paid_at    DATETIME(3) NULL AFTER payment_id;

-- An id is unique at its provider. The worker fills in what it read in the body.
ALTER TABLE payment_events
    DROP PRIMARY KEY,
    ADD PRIMARY KEY (id, provider),
    ADD COLUMN order_identifier CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
    ADD COLUMN type        VARCHAR(64) CHARACTER SET ascii NULL,
    ADD COLUMN payment_id  VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NULL,
    ADD COLUMN tries       INT UNSIGNED NOT NULL DEFAULT 0,
    ADD COLUMN next_try_at DATETIME(3) NULL COMMENT 'an event that waits for its order; NULL: at once',
    DROP KEY payment_events_waiting,
    ADD KEY payment_events_due (processed_at, next_try_at, received_at),
    ADD KEY payment_events_order (order_identifier),
    ADD KEY payment_events_outcome (outcome, processed_at);

CREATE TABLE outgoing_events (
    id               BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    order_identifier CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    type             VARCHAR(64) CHARACTER SET ascii NOT NULL,
    body             TEXT            NOT NULL COMMENT 'JSON, as it is signed and sent',
    created_at       DATETIME(3)     NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    tries            INT UNSIGNED    NOT NULL DEFAULT 0,
    next_try_at      DATETIME(3)     NULL DEFAULT CURRENT_TIMESTAMP(3) COMMENT 'NULL: delivered, or dead',
    delivered_at     DATETIME(3)     NULL,
    dead_at          DATETIME(3)     NULL,
    last_error       VARCHAR(255)    NULL,
    PRIMARY KEY (id),
    KEY outgoing_events_due (next_try_at, id),
    KEY outgoing_events_dead (dead_at),
    KEY outgoing_events_order (order_identifier)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE gateway_calls (
    order_identifier CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'the idempotency key of the call',
    tries            INT UNSIGNED    NOT NULL DEFAULT 0,
    next_try_at      DATETIME(3)     NULL DEFAULT CURRENT_TIMESTAMP(3) COMMENT 'NULL: the gateway gave its answer',
    created_at       DATETIME(3)     NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    asked_at         DATETIME(3)     NULL COMMENT 'the gateway may know of it since; NULL: it was never asked',
    answered_at      DATETIME(3)     NULL,
    last_error       VARCHAR(255)    NULL,
    PRIMARY KEY (order_identifier),
    KEY gateway_calls_due (next_try_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- What the workers are configured with and nginx has to know as well: currency; events (on: the shop is told of its orders).
CREATE TABLE settings (
    name  VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    value VARCHAR(255) CHARACTER SET ascii NOT NULL,
    PRIMARY KEY (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
