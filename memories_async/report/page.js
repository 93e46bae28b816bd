"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const all = (selector) => document.querySelectorAll(selector);
  for (const bar of all("svg.timeline a")) {
    bar.addEventListener("click", (event) => {
      const card = find(bar.getAttribute("href").slice(1));
      const video = card && card.querySelector("video");
      if (!video) return;
      event.preventDefault();
      for (const other of all("video")) other.pause();
      for (const other of all(".playing")) other.classList.remove("playing");
      card.classList.add("playing");
      card.scrollIntoView({ block: "nearest" });
      const play = () => {
        video.currentTime = Number(card.dataset.start);
        video.play().catch(() => {});
      };
      if (video.readyState > 0) play();
      else {
        video.addEventListener("loadedmetadata", play, { once: true });
        video.load();
      }
      video.focus({ preventScroll: true });
    });
  }
  for (const card of all("[data-end]")) {
    const video = card.querySelector("video");
    if (!video) continue;
    const end = Number(card.dataset.end);
    let last = 0;
    // A clip stops at its end, also where the browser does not; whoever seeks further plays on.
    video.addEventListener("timeupdate", () => {
      if (!video.paused && last < end && video.currentTime >= end) video.pause();
      last = video.currentTime;
    });
    // The controls would darken the still, so they come when somebody wants them.
    const rest = (isIdle) => {
      video.controls = !isIdle;
      card.classList.toggle("idle", isIdle);
    };
    video.tabIndex = 0;
    rest(true);
    for (const kind of ["pointerenter", "focus", "play"]) {
      video.addEventListener(kind, (event) => {
        if (event.pointerType !== "touch") rest(false);
      });
    }
    // A finger has no place to rest: its first touch plays.
    video.addEventListener("pointerup", (event) => {
      if (event.pointerType !== "touch" || !card.classList.contains("idle")) return;
      rest(false);
      video.play().catch(() => {});
    });
    video.addEventListener("pointerleave", () => {
      if (!video.readyState && document.activeElement !== video) rest(true);
    });
    video.addEventListener("error", () => {
      rest(true);
      card.classList.add("broken");
      if (card.querySelector(".none")) return;
      const note = document.createElement("p");
      note.className = "none";
      note.setAttribute("role", "alert");
      note.append(find("broken-clip").content.cloneNode(true));
      card.append(note);
    });
  }
  const choose = (id) => {
    const entry = find(id);
    if (!entry || !entry.matches(".films details")) return false;
    for (const other of all(".films details")) other.open = other === entry;
    const near = new Set([...entry.querySelectorAll("a")].map((link) => link.getAttribute("href")));
    for (const dot of all("svg.plot a")) {
      const target = dot.getAttribute("href");
      dot.classList.toggle("chosen", target === `#${id}`);
      dot.classList.toggle("near", near.has(target));
    }
    const list = entry.closest(".films");
    list.scrollTop = entry.offsetTop - list.offsetTop;
    return true;
  };
  for (const link of all("svg.plot a, .films a")) {
    link.addEventListener("click", (event) => {
      const id = link.getAttribute("href").slice(1);
      if (!choose(id)) return;
      event.preventDefault();
      find("neighbours").textContent = `${find(id).querySelector(".name").textContent}: nearest neighbours shown in the list.`;
      if (link.closest(".films")) find(id).querySelector("summary").focus({ preventScroll: true });
    });
  }
  for (const entry of all(".films details")) {
    entry.querySelector("summary").addEventListener("click", (event) => {
      if (entry.open) return;
      event.preventDefault();
      choose(entry.id);
    });
  }
  if (location.hash) choose(location.hash.slice(1));
})();
