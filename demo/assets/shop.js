/*
 * The demo shop: products from the replicas (cached), their live stock from the gate, buying, and what becomes of an
 * order. Whatever the server says is put in as text, never as HTML.
 */
(function () {
    'use strict';

    const PER_PAGE = 12;
    const ORDERS_PER_PAGE = 5;
    const STOCK_EVERY = 2000;       // ms
    const ORDER_EVERY = 700;        // while it is in the queue
    const ORDER_LATER = 4000;       // while it waits for its payment

    const TEXTS = {
        zh: {
            title: '限量搶購', skip: '跳到商品', search: '搜尋商品', find: '搜尋', products: '商品', your_order: '您的訂單',
            orders: '訂單紀錄', previous: '上一頁', next: '下一頁', product_pages: '商品分頁', order_pages: '訂單分頁',
            buyer: '買家編號', page: '第 {0} 頁,共 {1} 頁', stock: '即時庫存 {0}', no_stock: '已售完', unknown_stock: '尚未開賣',
            quantity: '{0} 的數量', buy: '購買', buying: '送出中…', nothing: '沒有符合的商品。', no_orders: '尚無訂單。',
            failed: '讀取失敗,稍後再試。', total: '總計 {0} 元', price: '{0} 元', pay_within: '請於 {0} 內付款', pay_over: '付款期限已過',
            cancel: '取消訂單', sent: '已送出,等待處理…', outcome_unknown: '結果未知,持續查詢中…', item: '商品 {0} × {1}',
            reason: '原因:{0}',
            status: {
                queued: '處理中', pending_payment: '等待付款', paid: '已付款', completed: '已完成', failed: '未成立',
                failed_payment: '付款失敗', cancelled: '已取消', refund_pending: '等待退款', refunded: '已退款'
            },
            reasons: {
                out_of_stock: '庫存不足', product_gone: '商品已下架', payment_failed: '付款失敗', payment_expired: '逾期未付款',
                cancelled_by_buyer: '買家取消', cancelled_by_operator: '店家取消'
            }
        },
        en: {
            title: 'Flash sale', skip: 'Skip to products', search: 'Search products', find: 'Search', products: 'Products',
            your_order: 'Your order', orders: 'Past orders', previous: 'Previous', next: 'Next',
            product_pages: 'Product pages', order_pages: 'Order pages', buyer: 'Buyer number', page: 'Page {0} of {1}',
            stock: '{0} in stock now', no_stock: 'Sold out', unknown_stock: 'Not on sale yet', quantity: 'Quantity of {0}',
            buy: 'Buy', buying: 'Sending…', nothing: 'No products match.', no_orders: 'No orders yet.',
            failed: 'Could not be read; try again in a moment.', total: 'Total {0}', price: '{0}', pay_within: 'Pay within {0}',
            pay_over: 'The time to pay is over', cancel: 'Cancel the order', sent: 'Sent, waiting for its turn…',
            outcome_unknown: 'Outcome unknown; still asking…', item: 'Product {0} × {1}', reason: 'Reason: {0}',
            status: {
                queued: 'In the queue', pending_payment: 'Waiting for payment', paid: 'Paid', completed: 'Completed',
                failed: 'Not accepted', failed_payment: 'Payment failed', cancelled: 'Cancelled',
                refund_pending: 'To be refunded', refunded: 'Refunded'
            },
            reasons: {
                out_of_stock: 'out of stock', product_gone: 'no longer sold', payment_failed: 'the payment failed',
                payment_expired: 'not paid in time', cancelled_by_buyer: 'cancelled by the buyer',
                cancelled_by_operator: 'cancelled by the shop'
            }
        }
    };
    const GOOD = ['paid', 'completed'];
    const BAD = ['failed', 'failed_payment', 'cancelled', 'refund_pending'];

    let language = stored('language') === 'en' ? 'en' : 'zh';
    const buyer = buyerNumber();
    const list = { page: 1, search: '', products: [] };
    const history = { page: 1 };
    let order = null;               // the last one: { identifier, data, message, timer }


    // --- small helpers ------------------------------------------------------------------------------------------

    function stored(name) {
        try {
            return localStorage.getItem(name);
        } catch (error) {
            return null;
        }
    }

    function store(name, value) {
        try {
            localStorage.setItem(name, value);
        } catch (error) {
            // A browser that keeps nothing: the page works until it is closed.
        }
    }

    // Without a login the page itself says who buys.
    function buyerNumber() {
        let number = stored('buyer');
        if (!/^[1-9][0-9]{0,8}$/.test(number)) {
            number = String(1 + crypto.getRandomValues(new Uint32Array(1))[0] % 1000000);
            store('buyer', number);
        }
        return Number(number);
    }

    function newKey() {
        return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
    }

    function text(name, ...values) {
        return values.reduce((line, value, i) => line.replace(`{${i}}`, value), TEXTS[language][name]);
    }

    function element(name, properties, ...children) {
        const made = Object.assign(document.createElement(name), properties);
        made.append(...children);
        return made;
    }

    function byId(id) {
        return document.getElementById(id);
    }

    async function ask(url, options) {
        const answer = await fetch(url, Object.assign({ headers: {} }, options, {
            headers: Object.assign({ 'Accept-Language': language === 'en' ? 'en' : 'zh-TW' }, options && options.headers)
        }));
        let data = null;
        try {
            data = await answer.json();
        } catch (error) {
            data = { message: `HTTP ${answer.status}` };
        }
        return { status: answer.status, data };
    }


    // --- products -----------------------------------------------------------------------------------------------

    async function loadProducts() {
        const query = new URLSearchParams({ page: list.page, per_page: PER_PAGE });
        if (list.search) {
            query.set('search', list.search);
        }
        try {
            const { status, data } = await ask(`/api/products?${query}`);
            if (status !== 200) {
                throw new Error(data.message);
            }
            list.products = data.data;
            showPages('product-pages', data.meta);
            byId('products-note').textContent = data.data.length ? '' : text('nothing');
        } catch (error) {
            byId('products-note').textContent = text('failed');
        }
        byId('product-list').replaceChildren(...list.products.map(productCard));
        loadStock();
    }

    function productCard(product) {
        const quantity = element('input', {
            type: 'number', min: 1, max: product.max_quantity || 1000, value: 1, inputMode: 'numeric',
            ariaLabel: text('quantity', product.name)
        });
        const button = element('button', { type: 'button', className: 'buy', textContent: text('buy') });
        button.addEventListener('click', () => buy(product, quantity, button));
        const card = element('li', {},
            element('h3', { textContent: product.name }),
            element('p', { className: 'about', textContent: product.description || '' }),
            element('p', { className: 'price', textContent: text('price', product.price) }),
            element('p', { className: 'stock', textContent: '' }),
            element('div', { className: 'act' }, quantity, button));
        card.dataset.product = product.id;
        return card;
    }

    // The gate's own number, beside what the cache says of the product.
    function loadStock() {
        list.products.forEach(async (product) => {
            const { status, data } = await ask(`/api/get-redis-stock/${product.id}`).catch(() => ({ status: 0 }));
            const card = document.querySelector(`[data-product="${product.id}"]`);
            if (card && status !== 0) {
                showStock(card, status === 200 && data.loaded ? data.redis_stock : null);
            }
        });
    }

    function showStock(card, stock) {
        const line = card.querySelector('.stock');
        const button = card.querySelector('.buy');
        line.textContent = stock === null ? text('unknown_stock') : stock > 0 ? text('stock', stock) : text('no_stock');
        line.classList.toggle('none', !stock);
        if (!button.dataset.busy) {
            button.disabled = !stock;
        }
    }

    function showPages(id, meta) {
        const pages = byId(id);
        const last = Math.max(1, meta.last_page || 1);
        pages.hidden = last === 1;
        pages.querySelector('span').textContent = text('page', meta.current_page, last);
        pages.querySelector('[data-step="-1"]').disabled = meta.current_page <= 1;
        pages.querySelector('[data-step="1"]').disabled = meta.current_page >= last;
    }


    // --- buying -------------------------------------------------------------------------------------------------

    async function buy(product, quantity, button) {
        if (!quantity.reportValidity()) {
            return;
        }
        button.dataset.busy = 'yes';
        button.disabled = true;
        button.textContent = text('buying');
        const { status, data } = await placeOrder(product.id, Number(quantity.value));
        delete button.dataset.busy;
        button.disabled = false;
        button.textContent = text('buy');
        if (status === 202) {
            follow(data.order_identifier, text('sent'));
        } else if (data.order_identifier) {
            follow(data.order_identifier, text('outcome_unknown'));
        } else {
            showOrder({ message: data.message });
        }
        loadStock();
    }

    // A lost answer is asked for again with the same key: it is the same order.
    async function placeOrder(product, quantity) {
        const request = {
            method: 'POST',
            headers: { 'Content-Type': 'application/json', 'Idempotency-Key': newKey() },
            body: JSON.stringify({ product_id: product, quantity, user_id: buyer })
        };
        for (let tries = 1; ; tries++) {
            try {
                return await ask('/api/place-order', request);
            } catch (error) {
                if (tries === 3) {
                    return { status: 0, data: { message: text('failed') } };
                }
                await new Promise((done) => setTimeout(done, 300 * tries));
            }
        }
    }

    function follow(identifier, message) {
        if (order) {
            clearTimeout(order.timer);
        }
        order = { identifier, message, data: null };
        showOrder(order);
        askOrder();
    }

    async function askOrder() {
        const asked = order;
        const { status, data } = await ask(`/api/orders/${asked.identifier}`).catch(() => ({ status: 0 }));
        if (asked !== order) {
            return;
        }
        if (status === 200) {
            const before = JSON.stringify(order.data);
            order.data = data.data;
            order.message = '';
            if (before !== JSON.stringify(order.data)) {
                showOrder(order);
                loadOrders();
            }
        }
        const state = order.data ? order.data.status : 'queued';
        if (state === 'queued' || state === 'pending_payment') {
            order.timer = setTimeout(askOrder, state === 'queued' ? ORDER_EVERY : ORDER_LATER);
        }
    }

    function showOrder(shown) {
        byId('order-section').hidden = false;
        byId('order').replaceChildren(...(shown.data ? orderLines(shown.data) : [element('p', { textContent: shown.message })]));
        if (shown.identifier && !shown.data) {
            byId('order').append(element('p', { className: 'identifier', textContent: shown.identifier }));
        }
    }

    function orderLines(data) {
        const state = element('p', { className: 'state', textContent: TEXTS[language].status[data.status] || data.status });
        state.classList.toggle('status-good', GOOD.includes(data.status));
        state.classList.toggle('status-bad', BAD.includes(data.status));
        const lines = [state];
        for (const item of data.items || []) {
            lines.push(element('p', { textContent: text('item', item.product_id, item.quantity) }));
        }
        if (data.total_price && Number(data.total_price) > 0) {
            lines.push(element('p', { textContent: text('total', data.total_price) }));
        }
        if (data.failure_code) {
            lines.push(element('p', { textContent: text('reason', TEXTS[language].reasons[data.failure_code] || data.failure_code) }));
        }
        if (data.status === 'pending_payment' && data.pay_by) {
            const deadline = element('p', { className: 'deadline', ariaLive: 'off' });
            deadline.dataset.payBy = data.pay_by;
            lines.push(deadline);
            showDeadline(deadline);
        }
        if (data.status === 'pending_payment' || data.status === 'queued') {
            lines.push(cancelButton(data.order_identifier));
        }
        lines.push(element('p', { className: 'identifier', textContent: data.order_identifier }));
        return lines;
    }

    function showDeadline(line) {
        const left = Math.floor((Date.parse(line.dataset.payBy) - Date.now()) / 1000);
        const clock = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, '0')}`;
        line.textContent = left > 0 ? text('pay_within', clock) : text('pay_over');
    }

    function cancelButton(identifier) {
        const button = element('button', { type: 'button', textContent: text('cancel') });
        button.addEventListener('click', async () => {
            button.disabled = true;
            const { status, data } = await ask(`/api/orders/${identifier}/cancel`, { method: 'POST' })
                .catch(() => ({ status: 0, data: { message: text('failed') } }));
            button.disabled = false;
            if (status === 200) {
                follow(identifier, '');
            } else {
                button.after(element('p', { className: 'status-bad', textContent: data.message }));
            }
            loadOrders();
        });
        return button;
    }


    // --- past orders --------------------------------------------------------------------------------------------

    async function loadOrders() {
        const query = new URLSearchParams({ user_id: buyer, page: history.page, per_page: ORDERS_PER_PAGE });
        const { status, data } = await ask(`/api/orders?${query}`).catch(() => ({ status: 0 }));
        if (status !== 200) {
            byId('orders-note').textContent = text('failed');
            return;
        }
        byId('orders-note').textContent = data.data.length ? '' : text('no_orders');
        byId('order-list').replaceChildren(...data.data.map((each) => element('li', {}, ...orderLines(each))));
        showPages('order-pages', data.meta);
    }


    // --- the page -----------------------------------------------------------------------------------------------

    function translate() {
        document.documentElement.lang = language === 'en' ? 'en' : 'zh-Hant-TW';
        document.title = text('title');
        document.querySelectorAll('[data-text]').forEach((each) => { each.textContent = text(each.dataset.text); });
        document.querySelectorAll('[data-label]').forEach((each) => { each.ariaLabel = text(each.dataset.label); });
        document.querySelectorAll('[data-hint]').forEach((each) => { each.placeholder = text(each.dataset.hint); });
        byId('language').textContent = language === 'en' ? '中文' : 'English';
        byId('language').lang = language === 'en' ? 'zh-Hant-TW' : 'en';
    }

    function turnPages(id, state, load) {
        byId(id).addEventListener('click', (event) => {
            const step = Number(event.target.dataset.step);
            if (step) {
                state.page += step;
                load();
            }
        });
    }

    byId('language').addEventListener('click', () => {
        language = language === 'en' ? 'zh' : 'en';
        store('language', language);
        translate();
        loadProducts();
        loadOrders();
        if (order) {
            showOrder(order);
        }
    });

    byId('search').addEventListener('submit', (event) => {
        event.preventDefault();
        list.search = byId('search-text').value.trim();
        list.page = 1;
        loadProducts();
    });

    turnPages('product-pages', list, loadProducts);
    turnPages('order-pages', history, loadOrders);
    byId('buyer').textContent = buyer;
    setInterval(() => document.hidden || loadStock(), STOCK_EVERY);
    setInterval(() => document.querySelectorAll('.deadline').forEach(showDeadline), 1000);
    translate();
    loadProducts();
    loadOrders();
}());
