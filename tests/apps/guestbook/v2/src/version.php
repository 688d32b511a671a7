<?php
const VERSION = 2;
