ALTER TABLE guests ADD email TEXT;
