-- Counters beside the stock, indexes for what repeats, notices to the gate, the archive. MySQL 8.0+ and MariaDB 10.6+.
-- Runs beside a sale, and beside programs of the release before.

ALTER TABLE products
    ADD COLUMN live_units     BIGINT NULL COMMENT 'units in live orders; NULL: not counted, until migrate --finish',
    ADD COLUMN supplied_units BIGINT NULL COMMENT 'sum of the movements load, adjust, archive; NULL: as live_units',
    ADD COLUMN counted_at     DATETIME(3) NULL COMMENT 'when both were last compared with orders and movements; NULL: never',
    LOCK=NONE;

ALTER TABLE orders
    ADD COLUMN archived_at DATETIME(3) NULL COMMENT 'of a stub: its data went to the archive then',
    LOCK=NONE;

ALTER TABLE order_items
    ADD KEY order_items_of_product (product_id, order_identifier, quantity), LOCK=NONE;
ALTER TABLE order_items
    DROP KEY order_items_product, LOCK=NONE;

ALTER TABLE stock_movements
    MODIFY COLUMN kind ENUM('load','adjust','cancel','failure','archive') NOT NULL,
    ADD COLUMN actor VARCHAR(255) NOT NULL DEFAULT '' COMMENT 'who did it',
    LOCK=NONE;
ALTER TABLE stock_movements
    ADD KEY stock_movements_order (order_identifier), LOCK=NONE;
ALTER TABLE stock_movements
    ADD KEY stock_movements_time (created_at), LOCK=NONE;

ALTER TABLE payment_events
    ADD KEY payment_events_time (received_at), LOCK=NONE;
ALTER TABLE outgoing_events
    ADD KEY outgoing_events_time (created_at), LOCK=NONE;

-- What Redis still has to be told of a committed change of an order; a row goes once Redis was told.
CREATE TABLE gate_notices (
    id               BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    order_identifier CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    product_id       BIGINT UNSIGNED NOT NULL COMMENT 'of the order, as are the next two',
    user_id          BIGINT UNSIGNED NOT NULL,
    quantity         INT UNSIGNED    NOT NULL,
    status           VARCHAR(32) CHARACTER SET ascii NOT NULL COMMENT 'of the order, as committed',
    failure_code     VARCHAR(64) CHARACTER SET ascii NULL,
    units            INT             NOT NULL COMMENT 'that the user holds more than before; negative: less',
    created_at       DATETIME(3)     NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    PRIMARY KEY (id),
    KEY gate_notices_order (order_identifier, status),
    KEY gate_notices_product (product_id, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- Whose buyers are counted at the gate.
ALTER TABLE products
    ADD KEY products_limited (per_user_limit, id), LOCK=NONE;
