-- Products, orders and the book of stock movements. MySQL 8.0+ and MariaDB 10.6+.
-- Times are UTC: every program of the project sets time_zone to +00:00.

CREATE TABLE products (
    id             BIGINT UNSIGNED NOT NULL,
    name           VARCHAR(255)    NOT NULL,
    description    TEXT            NULL,
    price          DECIMAL(12,2)   NOT NULL,
    stock          INT             NOT NULL DEFAULT 0,
    version        BIGINT UNSIGNED NOT NULL DEFAULT 1 COMMENT 'grows with every change of stock or sale terms',
    opens_at       DATETIME(3)     NULL     COMMENT 'sale terms; NULL: always open',
    closes_at      DATETIME(3)     NULL,
    per_user_limit INT UNSIGNED    NULL     COMMENT 'units one user may buy; NULL: no limit',
    max_quantity   INT UNSIGNED    NULL     COMMENT 'units one order may hold; NULL: no limit',
    state          ENUM('open','closed') NOT NULL DEFAULT 'open',
    created_at     DATETIME(3)     NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    updated_at     DATETIME(3)     NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
    PRIMARY KEY (id),
    CONSTRAINT products_stock_not_negative CHECK (stock >= 0),
    CONSTRAINT products_price_not_negative CHECK (price >= 0)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE orders (
    order_identifier CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    user_id          BIGINT UNSIGNED NOT NULL,
    status           ENUM('pending_payment','paid','completed','failed','failed_payment','cancelled',
                          'refund_pending','refunded') NOT NULL,
    failure_code     VARCHAR(64) CHARACTER SET ascii NULL,
    total_price      DECIMAL(20,2)   NOT NULL DEFAULT 0,
    pay_by           DATETIME(3)     NULL,
    product_id       BIGINT UNSIGNED NULL COMMENT 'asked for, also where no item was sold',
    quantity         INT UNSIGNED    NULL COMMENT 'asked for, also where no item was sold',
    created_at       DATETIME(3)     NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    updated_at       DATETIME(3)     NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
    PRIMARY KEY (order_identifier),
    KEY orders_user (user_id, created_at),
    KEY orders_unpaid (status, pay_by)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE order_items (
    order_identifier CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    product_id       BIGINT UNSIGNED NOT NULL,
    quantity         INT UNSIGNED    NOT NULL,
    unit_price       DECIMAL(12,2)   NOT NULL COMMENT 'a snapshot, taken at the commit of the order',
    PRIMARY KEY (order_identifier, product_id),
    KEY order_items_product (product_id),
    CONSTRAINT order_items_order   FOREIGN KEY (order_identifier) REFERENCES orders (order_identifier),
    CONSTRAINT order_items_product FOREIGN KEY (product_id) REFERENCES products (id),
    CONSTRAINT order_items_quantity CHECK (quantity > 0)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE stock_movements (
    id               BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    product_id       BIGINT UNSIGNED NOT NULL,
    kind             ENUM('load','adjust','cancel','failure') NOT NULL,
    units            INT             NOT NULL COMMENT 'change of products.stock',
    stock_after      INT             NOT NULL,
    order_identifier CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
    reason           VARCHAR(255)    NOT NULL DEFAULT '',
    created_at       DATETIME(3)     NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    PRIMARY KEY (id),
    KEY stock_movements_product (product_id, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE payment_events (
    id               VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'the provider''s event id',
    provider         VARCHAR(32) CHARACTER SET ascii NOT NULL,
    body             MEDIUMBLOB      NOT NULL COMMENT 'raw, as it was signed',
    received_at      DATETIME(3)     NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    processed_at     DATETIME(3)     NULL,
    outcome          VARCHAR(64) CHARACTER SET ascii NULL,
    PRIMARY KEY (id),
    KEY payment_events_waiting (processed_at, received_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
