// What the page shows at the moment, and who wants to know when it changes.

/** A store of named values. Watchers run once, after the code that changed the values has ended. */
export function createStore(values) {
  const state = { ...values };
  const watchers = [];
  let touched = new Set();
  function run() {
    const names = touched;
    touched = new Set();
    for (const { keys, watcher } of watchers) if (keys.some((key) => names.has(key))) watcher(state);
  }
  return {
    state,
    /** Call `watcher(state)` after any of the named values has changed. */
    watch(keys, watcher) {
      watchers.push({ keys, watcher });
    },
    /** Set values; those that are what they were touch nobody. */
    set(patch) {
      for (const [key, value] of Object.entries(patch)) {
        if (state[key] === value) continue;
        state[key] = value;
        if (!touched.size) queueMicrotask(run);
        touched.add(key);
      }
    },
  };
}

/** A cache of `limit` entries; the one unused for longest is dropped, and given to `drop`. */
export function createCache(limit, drop = () => {}) {
  const entries = new Map();
  return {
    get(key) {
      if (!entries.has(key)) return undefined;
      const value = entries.get(key);
      entries.delete(key);
      entries.set(key, value);
      return value;
    },
    set(key, value) {
      entries.delete(key);
      entries.set(key, value);
      while (entries.size > limit) {
        const oldest = entries.keys().next().value;
        drop(entries.get(oldest));
        entries.delete(oldest);
      }
    },
    remove(key) {
      entries.delete(key);
    },
  };
}
