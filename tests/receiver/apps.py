"""The receiver mounted in each framework, together with a page of the framework's own.

A server imports one of these by name: `uvicorn apps:fastapi_app`, `gunicorn apps:flask_app`.
"""

from __future__ import annotations

import os

from memories_async import Receiver

receiver = Receiver("https://public.example/hooks/memories", store=os.environ["CALLBACK_STORE"])


def make_aiohttp_app():
    from aiohttp import web

    async def home(request):
        return web.Response(text="home")

    app = web.Application()
    app.router.add_get("/", home)
    app.add_subapp("/hooks/memories", receiver.aiohttp_app())
    return app


def make_fastapi_app():
    from fastapi import FastAPI
    from fastapi.responses import PlainTextResponse

    app = FastAPI()
    app.get("/", response_class=PlainTextResponse)(lambda: "home")
    app.mount("/hooks/memories", receiver.asgi)
    return app


def make_starlette_app():
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Mount, Route

    async def home(request):
        return PlainTextResponse("home")

    return Starlette(routes=[Route("/", home), Mount("/hooks/memories", receiver.asgi)])


def make_flask_app():
    from flask import Flask
    from werkzeug.middleware.dispatcher import DispatcherMiddleware

    app = Flask(__name__)
    app.get("/")(lambda: "home")
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/hooks/memories": receiver.wsgi})
    return app


def make_django_app():
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse
    from django.urls import path

    settings.configure(
        ROOT_URLCONF=(path("", lambda request: HttpResponse("home")),),
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="local-for-tests",
        MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware"],
    )
    django_app = get_wsgi_application()

    def application(environ, start_response):
        if environ["PATH_INFO"].startswith("/hooks/memories/"):
            return receiver.wsgi(environ, start_response)
        return django_app(environ, start_response)

    return application


def make_asgi_app():
    return receiver.asgi


def make_wsgi_app():
    return receiver.wsgi


def __getattr__(name):
    """Make an application when a server imports it, so that only its framework is imported."""
    if name.startswith("__"):
        raise AttributeError(name)
    return globals()[f"make_{name}"]()


if __name__ == "__main__":
    import socket
    import sys

    from aiohttp import web

    web.run_app(make_aiohttp_app(), sock=socket.socket(fileno=int(sys.argv[1])), print=None)
