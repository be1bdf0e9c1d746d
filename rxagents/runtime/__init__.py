"""Connect Observables to asyncio: tasks bound to subscriptions, demand, and bridges."""
