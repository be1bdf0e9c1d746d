"""Where Observables meet asyncio: tasks bound to subscriptions, demand, and the bridges."""
